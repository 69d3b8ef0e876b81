/*
Everything that the loop did, append-only: the only table that it keeps of itself. One row per event.
Written by: every stage, through ledger/write/event.sql. Read by: the views beside this file, `bqloop status`.
*/
CREATE TABLE IF NOT EXISTS {{ ledger.events }} (
  event_id STRING NOT NULL OPTIONS (description = 'run, stage, status and attempt: the same event has the same id'),
  run_id STRING NOT NULL OPTIONS (description = '<model>-<date of as_of>, with -2, -3 … for more runs of a day'),
  model STRING NOT NULL OPTIONS (description = 'the continuously trained model, a folder under sql/'),
  stage STRING NOT NULL OPTIONS (
    description = 'check, features, train, evaluate, decide, deploy, rollout, score, monitor'
  ),
  status STRING NOT NULL OPTIONS (description = 'STARTED, SUCCEEDED, SKIPPED, FAILED, CANCELLED'),
  attempt INT64 NOT NULL OPTIONS (description = '1 and up; a replay of a failed stage is the next attempt'),
  recorded_at TIMESTAMP NOT NULL OPTIONS (description = 'when the event was recorded'),
  as_of TIMESTAMP OPTIONS (description = 'the instant as of which the run sees the data'),
  git_sha STRING OPTIONS (description = 'commit of the code that ran'),
  sql_sha STRING OPTIONS (description = 'hash of the SQL that ran; the texts stand in sources'),
  job_ids ARRAY<STRING> OPTIONS (description = 'BigQuery jobs of the stage'),
  bytes_billed INT64 OPTIONS (description = 'of these jobs'),
  slot_ms INT64 OPTIONS (description = 'slot-milliseconds of these jobs'),
  details JSON OPTIONS (description = 'what the stage found and did; run_state and reason always')
)
PARTITION BY DATE(recorded_at)
CLUSTER BY model, run_id
OPTIONS (description = 'What the loop did, append-only')
