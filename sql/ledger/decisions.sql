/*
What the gate or a person decided about each run, with all that it saw. One row per decision.
*/
CREATE OR REPLACE VIEW {{ ledger.decisions }} AS
SELECT
  run_id,
  model,
  recorded_at AS decided_at,
  attempt,
  JSON_VALUE(details, '$.decision.verdict') AS verdict,
  JSON_VALUE(details, '$.decision.winner') AS winner,
  CAST(JSON_VALUE(details, '$.decision.threshold') AS FLOAT64) AS threshold,
  JSON_VALUE(details, '$.champion') AS champion,
  JSON_QUERY(details, '$.decision.reasons') AS reasons,
  JSON_QUERY(details, '$.evidence') AS evidence
FROM {{ ledger.events }}
WHERE stage = 'decide' AND status = 'SUCCEEDED'
