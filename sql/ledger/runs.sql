/*
Where each run stands. One row per run.
state: RUNNING, SKIPPED, REJECTED, HELD, CANARY, PROMOTED, ROLLED_BACK, SCORED, MONITORED, CANCELLED, FAILED.
Read by: `bqloop status`.
*/
CREATE OR REPLACE VIEW {{ ledger.runs }} AS
WITH ordered AS (
  SELECT
    run_id,
    model,
    stage,
    status,
    recorded_at,
    as_of,
    sql_sha,
    JSON_VALUE(details, '$.run_state') AS state,
    JSON_VALUE(details, '$.reason') AS reason,
    MIN(recorded_at) OVER (PARTITION BY run_id) AS started_at,
    MIN(as_of) OVER (PARTITION BY run_id) AS run_as_of,
    LOGICAL_OR(status = 'CANCELLED') OVER (PARTITION BY run_id) AS is_cancelled,
    event_id
  FROM {{ ledger.events }}
),

ranked AS (
  SELECT
    *,
    -- A stage that was at work when its run was cancelled may still end or fail; that changes the run no more.
    -- Of events recorded in the same instant the one that ends a stage is the later.
    ROW_NUMBER() OVER (
      PARTITION BY run_id
      ORDER BY
        IF(is_cancelled AND COALESCE(state, 'RUNNING') IN ('RUNNING', 'CANARY', 'FAILED'), 1, 0),
        recorded_at DESC,
        IF(status = 'STARTED', 1, 0),
        event_id DESC
    ) AS back
  FROM ordered
)

SELECT
  run_id,
  model,
  COALESCE(state, IF(status = 'FAILED', 'FAILED', 'RUNNING')) AS state,
  stage,
  status AS stage_status,
  reason,
  run_as_of AS as_of,
  started_at,
  recorded_at AS changed_at,
  sql_sha
FROM ranked
WHERE back = 1
