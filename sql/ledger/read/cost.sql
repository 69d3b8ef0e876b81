/*
What each run cost, stage by stage, newest first.
*/
SELECT
  run_id,
  stage,
  jobs,
  bytes_billed,
  slot_ms,
  seconds
FROM {{ ledger.cost }}
WHERE model = @model
ORDER BY ended_at DESC
LIMIT 500
