/*
  Points as of @as_of. One row per point.
*/
CREATE OR REPLACE TABLE {{ run_table.known_points }} AS
SELECT
  point_id,
  x,
  y,
  is_far,
  split
FROM {{ table.points }}
WHERE ingested_at <= @as_of
