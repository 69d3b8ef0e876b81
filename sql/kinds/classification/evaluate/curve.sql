/*
The precision-recall and ROC curves. One row per model, split and level of the score.

A level is the probability to six decimals: at most a million of them, however many rows there are.
Counts are of the rows at this level and above, as if the level were the threshold.
Read by: thresholds, metrics, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.curve }} AS
WITH levels AS (
  SELECT
    name,
    split,
    ROUND(probability, 6) AS score,
    COUNTIF(is_positive) AS positives,
    COUNTIF(NOT is_positive) AS negatives
  FROM {{ run_table.predictions }}
  WHERE probability IS NOT NULL
  GROUP BY name, split, score
),

counted AS (
  SELECT
    name,
    split,
    score,
    positives AS positives_here,
    negatives AS negatives_here,
    SUM(positives) OVER above AS true_positives,
    SUM(negatives) OVER above AS false_positives,
    SUM(positives) OVER everything AS all_positives,
    SUM(negatives) OVER everything AS all_negatives,
    LEAD(score) OVER (PARTITION BY name, split ORDER BY score DESC) AS next_score
  FROM levels
  WINDOW
    everything AS (PARTITION BY name, split),
    above AS (PARTITION BY name, split ORDER BY score DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)

SELECT
  name,
  split,
  score,
  -- Between two levels, so that a probability which rounds to the level lies above its threshold.
  (score + COALESCE(next_score, 0)) / 2 AS threshold,
  positives_here,
  negatives_here,
  true_positives,
  false_positives,
  all_positives,
  all_negatives,
  true_positives / (true_positives + false_positives) AS `precision`,
  SAFE_DIVIDE(true_positives, all_positives) AS recall,
  SAFE_DIVIDE(false_positives, all_negatives) AS false_positive_rate
FROM counted
