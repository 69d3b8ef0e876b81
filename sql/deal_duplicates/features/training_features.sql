/*
  What the candidates are fitted on: the labelled pairs of split 'train' with their features. One row per pair.

  Every column that model.yml does not name as key, label, split or group is a feature: a feature is added by adding
  an expression to pair_signals or pair_features, and nowhere else.

  Reads pair_features, labelled_pairs. Read by train/.
*/
CREATE OR REPLACE TABLE {{ run_table.training_features }} AS
SELECT
  pair.* EXCEPT (left_key, right_key),
  known.is_duplicate
FROM {{ run_table.pair_features }} AS pair
INNER JOIN {{ run_table.labelled_pairs }} AS known
  ON pair.left_key = known.left_key AND pair.right_key = known.right_key
WHERE known.split = 'train'
