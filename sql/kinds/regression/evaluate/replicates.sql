/*
Every metric in every replicate of the bootstrap. One row per replicate, model and metric.
Read by: comparison, intervals.
*/
CREATE OR REPLACE TABLE {{ run_table.replicates }} AS
WITH drawn AS (
  SELECT
    weights.replicate,
    counts.name,
  {% for sum in ['row_count', 'error', 'absolute_error', 'squared_error', 'deviation', 'squared_deviation'] %}
    SUM(weights.weight * counts.{{ sum }}) AS {{ sum }}{{ ',' if not loop.last }}
  {% endfor %}
  FROM {{ run_table.bootstrap_counts }} AS counts
  INNER JOIN {{ run_table.bootstrap_weights }} AS weights ON counts.block = weights.block
  GROUP BY weights.replicate, counts.name
),

totals AS (
  SELECT
    *,
    squared_error / row_count AS mean_square,
    squared_error / row_count - POW(error / row_count, 2) AS residual_variance,
    squared_deviation / row_count - POW(deviation / row_count, 2) AS variance
  FROM drawn
)

SELECT
  totals.replicate,
  totals.name,
  measured.metric,
  measured.value
FROM totals
CROSS JOIN
  UNNEST([
    STRUCT('mean_absolute_error' AS metric, absolute_error / row_count AS value),
    STRUCT('mean_squared_error' AS metric, mean_square AS value),
    STRUCT('root_mean_squared_error' AS metric, SQRT(mean_square) AS value),
    STRUCT('r2_score' AS metric, 1 - SAFE_DIVIDE(mean_square, variance) AS value),
    STRUCT('explained_variance' AS metric, 1 - SAFE_DIVIDE(residual_variance, variance) AS value)
  ]) AS measured
WHERE measured.value IS NOT NULL
