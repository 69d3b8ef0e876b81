{% import 'macros/metrics.sql' as metrics %}
/*
How good each model is on parts of the validation rows. One row per model, slice and value of the slice.

The slices are expressions in model.yml over the columns of the validation set of this run, the same for every model.
Read by: the gate, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.slices }} AS
WITH {{ metrics.parts(policy, run_table.validation_set) }},

counted AS (
  SELECT
    predictions.name,
    parts.slice,
    parts.value,
    COUNT(*) AS row_count,
    AVG(ABS(predictions.actual - predictions.prediction)) AS mean_absolute_error,
    AVG(POW(predictions.actual - predictions.prediction, 2)) AS mean_squared_error,
    VAR_POP(IF(predictions.prediction IS NULL, NULL, predictions.actual)) AS variance,
    VAR_POP(predictions.actual - predictions.prediction) AS residual_variance
  FROM {{ run_table.predictions }} AS predictions
  INNER JOIN parts
    ON {{ metrics.in_part(policy, 'predictions') }}
  GROUP BY predictions.name, parts.slice, parts.value
)

SELECT
  * EXCEPT (variance, residual_variance),
  SQRT(mean_squared_error) AS root_mean_squared_error,
  1 - SAFE_DIVIDE(mean_squared_error, variance) AS r2_score,
  1 - SAFE_DIVIDE(residual_variance, variance) AS explained_variance
FROM counted
