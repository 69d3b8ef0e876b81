/*
  Points with their label. One row per point.
*/
CREATE TABLE IF NOT EXISTS {{ table.points }} (
  point_id INT64 NOT NULL,
  x FLOAT64,
  y FLOAT64,
  is_far BOOL,
  split STRING,
  ingested_at TIMESTAMP NOT NULL
)
