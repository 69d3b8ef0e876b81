/*
What each model makes of each pair at its threshold. One row per model, split and pair.
Read by: metrics, slices, bootstrap_counts.
*/
CREATE OR REPLACE TABLE {{ run_table.outcomes }} AS
SELECT
  predictions.*,
  thresholds.threshold,
  predictions.is_positive AND predictions.probability >= thresholds.threshold AS is_true_positive,
  NOT predictions.is_positive AND predictions.probability >= thresholds.threshold AS is_false_positive,
  predictions.is_positive AND predictions.probability < thresholds.threshold AS is_false_negative,
  NOT predictions.is_positive AND predictions.probability < thresholds.threshold AS is_true_negative,
  -- Bounded, because a single row that is surely wrong would otherwise cost infinitely much.
  -LN(CASE
    WHEN predictions.is_positive AND predictions.probability > 1e-15 THEN predictions.probability
    WHEN NOT predictions.is_positive AND predictions.probability < 1 - 1e-15 THEN 1 - predictions.probability
    WHEN predictions.probability IS NOT NULL THEN 1e-15
  END) AS loss
FROM {{ run_table.predictions }} AS predictions
LEFT JOIN {{ run_table.thresholds }} AS thresholds ON predictions.name = thresholds.name
