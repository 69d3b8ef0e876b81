/*
  Points that have no place. One row per point.
*/
SELECT point_id
FROM {{ table.points }}
WHERE ingested_at <= @as_of AND (x IS NULL OR y IS NULL)
