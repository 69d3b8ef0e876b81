{% import 'macros/metrics.sql' as metrics %}
/*
How good each model is. One row per model and split; an undefined metric (the share of a variance that is zero) is NULL.

`rows_fingerprint` tells whether two models were measured on the same rows and labels. Names are those of ML.EVALUATE.
Read by: the gate (validation only), the ledger, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.metrics }} AS
WITH medians AS (
  SELECT
    name,
    split,
    -- The middle one, or the mean of the middle two.
    AVG(IF(place IN (DIV(places + 1, 2), DIV(places + 2, 2)), absolute_error, NULL)) AS median_absolute_error
  FROM (
    SELECT
      name,
      split,
      ABS(actual - prediction) AS absolute_error,
      ROW_NUMBER() OVER (PARTITION BY name, split ORDER BY ABS(actual - prediction)) AS place,
      COUNT(*) OVER (PARTITION BY name, split) AS places
    FROM {{ run_table.predictions }}
    WHERE prediction IS NOT NULL
  ) AS ranked
  GROUP BY name, split
),

counted AS (
  SELECT
    name,
    split,
    COUNT(*) AS row_count,
    COUNTIF(prediction IS NULL) AS unscored_rows,
    COUNT(DISTINCT entity_group) AS entity_groups,
    {{ metrics.rows_fingerprint(policy, 'actual') }} AS rows_fingerprint,
    AVG(ABS(actual - prediction)) AS mean_absolute_error,
    AVG(POW(actual - prediction, 2)) AS mean_squared_error,
    -- Undefined below zero, where there is no logarithm to take.
    IF(
      LOGICAL_AND(actual >= 0 AND prediction >= 0),
      AVG(POW(LN(1 + GREATEST(actual, 0)) - LN(1 + GREATEST(prediction, 0)), 2)),
      NULL
    ) AS mean_squared_log_error,
    VAR_POP(IF(prediction IS NULL, NULL, actual)) AS variance,
    VAR_POP(actual - prediction) AS residual_variance
  FROM {{ run_table.predictions }}
  GROUP BY name, split
)

SELECT
  counted.* EXCEPT (variance, residual_variance),
  SQRT(counted.mean_squared_error) AS root_mean_squared_error,
  medians.median_absolute_error,
  1 - SAFE_DIVIDE(counted.mean_squared_error, counted.variance) AS r2_score,
  1 - SAFE_DIVIDE(counted.residual_variance, counted.variance) AS explained_variance
FROM counted
LEFT JOIN medians ON counted.name = medians.name AND counted.split = medians.split
