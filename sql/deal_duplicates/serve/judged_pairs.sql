/*
  The pairs that somebody has judged: they are compared in every run, found by blocking or not, and so count among the
  rivals of other pairs. One row per pair. Reads labels. Read by the prediction service for its index.
*/
SELECT DISTINCT
  left_source,
  left_id,
  right_source,
  right_id
FROM {{ table.labels }}
