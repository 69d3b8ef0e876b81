/*
Reliability and distribution of the scores. One row per model, split and twentieth of the range of probabilities.
Read by: metrics (expected calibration error), `bqloop review`, monitor/score_shift.
*/
CREATE OR REPLACE TABLE {{ run_table.bins }} AS
SELECT
  name,
  split,
  LEAST(CAST(FLOOR(probability * 20) AS INT64), 19) AS bin,
  COUNT(*) AS row_count,
  COUNTIF(is_positive) AS positives,
  AVG(probability) AS mean_probability,
  COUNTIF(is_positive) / COUNT(*) AS positive_rate
FROM {{ run_table.predictions }}
WHERE probability IS NOT NULL
GROUP BY name, split, bin
