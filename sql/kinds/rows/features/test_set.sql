{% import 'macros/keys.sql' as keys %}
/*
  The labelled rows of split 'test' with their features. One row per row. This split is reported and never used to
  choose anything.

  Reads row_features, labelled_rows. Read by evaluate/.
*/
CREATE OR REPLACE TABLE {{ run_table.test_set }} AS
SELECT
  known.{{ policy.keys | join(', known.') }},
  features.* EXCEPT ({{ policy.keys | join(', ') }}),
  known.{{ policy.label }},
  known.{{ policy.group }}
FROM {{ run_table.row_features }} AS features
INNER JOIN {{ run_table.labelled_rows }} AS known
  ON {{ keys.equal(policy.keys, 'features', 'known') }}
WHERE known.{{ policy.split }} = 'test'
