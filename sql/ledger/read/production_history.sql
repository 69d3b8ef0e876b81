/*
Who served when, newest first.
*/
SELECT
  changed_at,
  run_id,
  action,
  version,
  previous_version,
  share,
  threshold,
  bigquery_model,
  reason
FROM {{ ledger.production_history }}
WHERE model = @model
ORDER BY changed_at DESC
LIMIT 200
