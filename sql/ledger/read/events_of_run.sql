/*
The events of one run, oldest first, each once.
*/
SELECT
  event_id,
  run_id,
  model,
  stage,
  status,
  attempt,
  recorded_at,
  as_of,
  git_sha,
  sql_sha,
  TO_JSON_STRING(details) AS details
FROM {{ ledger.events }}
WHERE run_id = @run_id
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY recorded_at) = 1
ORDER BY recorded_at, event_id
