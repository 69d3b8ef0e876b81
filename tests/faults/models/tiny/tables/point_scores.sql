/*
  What the champion says about each point. One row per point.
*/
CREATE TABLE IF NOT EXISTS {{ table.point_scores }} (
  point_id INT64 NOT NULL,
  probability FLOAT64,
  run_id STRING
)
