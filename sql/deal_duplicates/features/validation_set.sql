/*
  The labelled pairs of split 'validation' with their features. One row per pair. This split chooses the threshold and
  feeds the gate.

  Reads pair_features, labelled_pairs. Read by evaluate/.
*/
CREATE OR REPLACE TABLE {{ run_table.validation_set }} AS
SELECT
  pair.* EXCEPT (left_key, right_key),
  known.is_duplicate,
  known.entity_group
FROM {{ run_table.pair_features }} AS pair
INNER JOIN {{ run_table.labelled_pairs }} AS known
  ON pair.left_key = known.left_key AND pair.right_key = known.right_key
WHERE known.split = 'validation'
