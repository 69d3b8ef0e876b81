/*
The newest run of a model that scored before an instant: what the next one adds to.
*/
SELECT
  run_id,
  TO_JSON_STRING(details) AS details
FROM {{ ledger.events }}
WHERE model = @model AND stage = 'score' AND status = 'SUCCEEDED' AND as_of < @before AND run_id != @run_id
ORDER BY as_of DESC, recorded_at DESC
LIMIT 1
