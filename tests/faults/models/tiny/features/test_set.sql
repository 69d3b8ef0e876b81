/*
  Points of split 'test' as of @as_of. One row per point.
*/
CREATE OR REPLACE TABLE {{ run_table.test_set }} AS
SELECT
  point_id,
  point_id AS entity_group,
  is_far,
  x,
  y
FROM {{ run_table.known_points }}
WHERE split = 'test'
