/*
Verdicts of a model, newest first.
*/
SELECT
  run_id,
  decided_at,
  verdict,
  winner,
  threshold,
  champion,
  TO_JSON_STRING(reasons) AS reasons,
  TO_JSON_STRING(evidence) AS evidence
FROM {{ ledger.decisions }}
WHERE model = @model
ORDER BY decided_at DESC
LIMIT 200
