/*
  The sampled candidates with their features: unlabelled rows as production asks about them. One row per pair.

  Built where model.yml says `asked: sampled_features`.

  Reads pair_features, sampled_pairs. Read by evaluate/thresholds.
*/
CREATE OR REPLACE TABLE {{ run_table.sampled_features }} AS
SELECT pair.* EXCEPT (left_key, right_key)
FROM {{ run_table.pair_features }} AS pair
INNER JOIN {{ run_table.sampled_pairs }} AS sampled
  ON pair.left_key = sampled.left_key AND pair.right_key = sampled.right_key
