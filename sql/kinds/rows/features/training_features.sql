{% import 'macros/keys.sql' as keys %}
/*
  What the candidates are fitted on: the labelled rows of split 'train' with their features. One row per row.

  Every column that model.yml does not name as key, label, split or group is a feature: a feature is added by adding
  an expression to row_features, and nowhere else.

  Reads row_features, labelled_rows. Read by train/.
*/
CREATE OR REPLACE TABLE {{ run_table.training_features }} AS
SELECT
  known.{{ policy.keys | join(', known.') }},
  features.* EXCEPT ({{ policy.keys | join(', ') }}),
  known.{{ policy.label }}
FROM {{ run_table.row_features }} AS features
INNER JOIN {{ run_table.labelled_rows }} AS known
  ON {{ keys.equal(policy.keys, 'features', 'known') }}
WHERE known.{{ policy.split }} = 'train'
