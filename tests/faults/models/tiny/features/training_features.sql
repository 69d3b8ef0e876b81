/*
  Points of split 'train' as of @as_of. One row per point.
*/
CREATE OR REPLACE TABLE {{ run_table.training_features }} AS
SELECT
  point_id,
  is_far,
  x,
  y
FROM {{ run_table.known_points }}
WHERE split = 'train'
