/*
What each stage of each run used. One row per run, stage and attempt that ended.
*/
CREATE OR REPLACE VIEW {{ ledger.cost }} AS
SELECT
  run_id,
  model,
  stage,
  attempt,
  COALESCE(ARRAY_LENGTH(ANY_VALUE(IF(status != 'STARTED', job_ids, NULL))), 0) AS jobs,
  SUM(IF(status != 'STARTED', bytes_billed, 0)) AS bytes_billed,
  SUM(IF(status != 'STARTED', slot_ms, 0)) AS slot_ms,
  TIMESTAMP_DIFF(MAX(recorded_at), MIN(recorded_at), MILLISECOND) / 1000 AS seconds,
  MAX(recorded_at) AS ended_at
FROM {{ ledger.events }}
GROUP BY run_id, model, stage, attempt
