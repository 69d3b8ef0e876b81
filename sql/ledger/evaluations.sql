/*
Metrics of every candidate and of the champion it was held against, on the same rows.
One row per run, candidate and split.
*/
CREATE OR REPLACE VIEW {{ ledger.evaluations }} AS
SELECT
  run_id,
  model,
  recorded_at AS evaluated_at,
  JSON_VALUE(metric, '$.name') AS candidate,
  JSON_VALUE(metric, '$.split') AS split,
  CAST(JSON_VALUE(metric, '$.row_count') AS INT64) AS row_count,
  CAST(JSON_VALUE(metric, '$.positives') AS INT64) AS positives,
  CAST(JSON_VALUE(metric, '$.threshold') AS FLOAT64) AS threshold,
  CAST(JSON_VALUE(metric, '$.precision') AS FLOAT64) AS `precision`,
  CAST(JSON_VALUE(metric, '$.recall') AS FLOAT64) AS recall,
  CAST(JSON_VALUE(metric, '$.f1_score') AS FLOAT64) AS f1_score,
  CAST(JSON_VALUE(metric, '$.average_precision') AS FLOAT64) AS average_precision,
  CAST(JSON_VALUE(metric, '$.roc_auc') AS FLOAT64) AS roc_auc,
  CAST(JSON_VALUE(metric, '$.log_loss') AS FLOAT64) AS log_loss,
  metric AS metrics
FROM {{ ledger.events }}, UNNEST(JSON_QUERY_ARRAY(details, '$.metrics')) AS metric
WHERE stage = 'evaluate' AND status = 'SUCCEEDED'
