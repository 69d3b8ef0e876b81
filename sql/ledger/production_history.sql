/*
Which version served when, and why it changed. One row per change of traffic or champion.
*/
CREATE OR REPLACE VIEW {{ ledger.production_history }} AS
SELECT
  run_id,
  model,
  recorded_at AS changed_at,
  JSON_VALUE(details, '$.production.action') AS action,
  JSON_VALUE(details, '$.production.version') AS version,
  JSON_VALUE(details, '$.production.previous_version') AS previous_version,
  CAST(JSON_VALUE(details, '$.production.share') AS INT64) AS share,
  CAST(JSON_VALUE(details, '$.production.threshold') AS FLOAT64) AS threshold,
  JSON_VALUE(details, '$.production.bigquery_model') AS bigquery_model,
  JSON_VALUE(details, '$.reason') AS reason
FROM {{ ledger.events }}
WHERE JSON_VALUE(details, '$.production.action') IS NOT NULL
