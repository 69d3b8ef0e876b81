/*
The newest runs of a model, newest first: what `bqloop status` shows, and what tells which run a message belongs to.
*/
SELECT
  run_id,
  state,
  stage,
  stage_status,
  reason,
  as_of,
  started_at,
  changed_at,
  sql_sha
FROM {{ ledger.runs }}
WHERE model = @model
ORDER BY as_of DESC, started_at DESC
LIMIT 200
