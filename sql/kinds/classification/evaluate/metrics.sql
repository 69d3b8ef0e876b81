{% import 'macros/metrics.sql' as metrics %}
/*
How good each model is. One row per model and split; an undefined metric (precision with nothing predicted) is NULL.

`rows_fingerprint` tells whether two models were measured on the same rows and labels. `cost` is the mean per pair.
Parameters: @cost_false_positive, @cost_false_negative.
Read by: the gate (validation only), the ledger, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.metrics }} AS
WITH counted AS (
  SELECT
    name,
    split,
    ANY_VALUE(threshold) AS threshold,
    COUNT(*) AS row_count,
    COUNTIF(probability IS NULL) AS unscored_rows,
    COUNTIF(probability IS NOT NULL AND threshold IS NOT NULL) AS decided,
    COUNTIF(is_positive) AS positives,
    COUNTIF(NOT is_positive) AS negatives,
    COUNT(DISTINCT entity_group) AS entity_groups,
    {{ metrics.rows_fingerprint(policy, 'is_positive') }} AS rows_fingerprint,
    COUNTIF(is_true_positive) AS true_positives,
    COUNTIF(is_false_positive) AS false_positives,
    COUNTIF(is_false_negative) AS false_negatives,
    COUNTIF(is_true_negative) AS true_negatives,
    AVG(loss) AS log_loss
  FROM {{ run_table.outcomes }}
  GROUP BY name, split
),

ranked AS (
  SELECT
    name,
    split,
    -- The area as scikit-learn sums it: each level's precision weighs what it adds to the recall.
    SAFE_DIVIDE(SUM(positives_here * `precision`), MAX(all_positives)) AS average_precision,
    -- The share of pairs of a positive and a negative that stand in the right order; a tie counts half.
    SAFE_DIVIDE(
      SUM(negatives_here * (true_positives - positives_here / 2)), MAX(all_positives) * MAX(all_negatives)
    ) AS roc_auc
  FROM {{ run_table.curve }}
  GROUP BY name, split
),

calibrated AS (
  SELECT
    name,
    split,
    SUM(row_count * ABS(mean_probability - positive_rate)) / SUM(row_count) AS expected_calibration_error
  FROM {{ run_table.bins }}
  GROUP BY name, split
)

SELECT
  counted.* EXCEPT (decided),
  SAFE_DIVIDE(true_positives, true_positives + false_positives) AS `precision`,
  SAFE_DIVIDE(true_positives, true_positives + false_negatives) AS recall,
  SAFE_DIVIDE(2 * true_positives, 2 * true_positives + false_positives + false_negatives) AS f1_score,
  SAFE_DIVIDE(true_positives + true_negatives, decided) AS accuracy,
  SAFE_DIVIDE(@cost_false_positive * false_positives + @cost_false_negative * false_negatives, decided) AS cost,
  ranked.average_precision,
  ranked.roc_auc,
  calibrated.expected_calibration_error
FROM counted
LEFT JOIN ranked ON counted.name = ranked.name AND counted.split = ranked.split
LEFT JOIN calibrated ON counted.name = calibrated.name AND counted.split = calibrated.split
