/*
What the stage `monitor` found, newest first, each time once. Parameters: @model. Read by: `bqloop monitor`.
*/
SELECT
  run_id,
  as_of,
  recorded_at,
  TO_JSON_STRING(details) AS details
FROM {{ ledger.events }}
WHERE model = @model AND stage = 'monitor' AND status IN ('SUCCEEDED', 'SKIPPED')
QUALIFY ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY recorded_at DESC, event_id DESC) = 1
ORDER BY as_of DESC, run_id DESC
LIMIT 400
