/*
  The labelled pairs of split 'test' with their features. One row per pair. This split reported and never used to
  choose anything.

  Reads pair_features, labelled_pairs. Read by evaluate/.
*/
CREATE OR REPLACE TABLE {{ run_table.test_set }} AS
SELECT
  pair.* EXCEPT (left_key, right_key),
  known.is_duplicate,
  known.entity_group
FROM {{ run_table.pair_features }} AS pair
INNER JOIN {{ run_table.labelled_pairs }} AS known
  ON pair.left_key = known.left_key AND pair.right_key = known.right_key
WHERE known.split = 'test'
