/*
  How good each model is. One row per model and split.
*/
CREATE OR REPLACE TABLE {{ run_table.metrics }} AS
SELECT
  name,
  split,
  @decision_threshold AS threshold,
  COUNT(*) AS row_count,
  CAST(COUNTIF(probability IS NULL) AS INT64) AS unscored_rows,
  CAST(COUNTIF(is_far) AS INT64) AS positives,
  CAST(COUNTIF(NOT is_far) AS INT64) AS negatives,
  COUNT(DISTINCT point_id) AS entity_groups,
  BIT_XOR(FARM_FINGERPRINT(CONCAT(CAST(point_id AS STRING), CAST(is_far AS STRING)))) AS rows_fingerprint,
  ROUND(AVG(-LN(GREATEST(IF(is_far, probability, 1 - probability), 1e-15))), 6) AS log_loss
FROM {{ run_table.predictions }}
GROUP BY name, split
