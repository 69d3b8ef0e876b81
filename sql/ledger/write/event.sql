/*
Appends one event, once: the job that runs this has an ID made of the event's own, and a job ID can be used once.
*/
INSERT INTO {{ ledger.events }} (
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
  job_ids,
  bytes_billed,
  slot_ms,
  details
)
SELECT
  @event_id,
  @run_id,
  @model,
  @stage,
  @status,
  @attempt,
  CURRENT_TIMESTAMP(),
  @as_of,
  @git_sha,
  @sql_sha,
  @job_ids,
  @bytes_billed,
  @slot_ms,
  PARSE_JSON(@details, wide_number_mode => 'round')
FROM (SELECT 1) AS one_row
WHERE NOT EXISTS (
  SELECT 1 FROM {{ ledger.events }}
  WHERE event_id = @event_id
)
