/*
  Each candidate against the champion. One row per candidate.
*/
CREATE OR REPLACE TABLE {{ run_table.comparison }} AS
SELECT
  candidate.name AS candidate,
  'log_loss' AS metric,
  candidate.log_loss - champion.log_loss AS difference,
  candidate.log_loss - champion.log_loss AS lower,
  candidate.log_loss - champion.log_loss AS upper,
  0.99 AS confidence,
  1 AS replicates
FROM {{ run_table.metrics }} AS candidate
INNER JOIN {{ run_table.metrics }} AS champion
  ON candidate.split = champion.split AND champion.name = 'champion' AND candidate.name != 'champion'
WHERE candidate.split = 'validation'
