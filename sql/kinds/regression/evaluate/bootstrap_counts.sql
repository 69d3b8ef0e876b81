{% import 'macros/metrics.sql' as metrics %}
/*
What the paired bootstrap draws from, small however many rows there are: sums from which every metric can be computed
again. One row per model and block.

A block is an entity group, because rows of one group are not independent; with more groups than @bootstrap_blocks they
are gathered into that many blocks by hash, which leaves the variance what it is. Champion and candidates share them.
Labels are taken from their mean, the same for all models: squares of large numbers would drown the differences.
Read by: bootstrap_weights, replicates.
*/
CREATE OR REPLACE TABLE {{ run_table.bootstrap_counts }} AS
WITH size AS (
  SELECT
    COUNT(DISTINCT entity_group) AS entity_groups,
    AVG(actual) AS mean_actual
  FROM {{ run_table.predictions }}
  WHERE split = 'validation'
),

placed AS (
  SELECT
    predictions.name,
    {{ metrics.block('predictions.entity_group', 'size.entity_groups') }} AS block,
    predictions.actual - size.mean_actual AS deviation,
    predictions.actual - predictions.prediction AS error
  FROM {{ run_table.predictions }} AS predictions
  CROSS JOIN size
  WHERE predictions.split = 'validation' AND predictions.prediction IS NOT NULL
)

SELECT
  name,
  block,
  COUNT(*) AS row_count,
  SUM(error) AS error,
  SUM(ABS(error)) AS absolute_error,
  SUM(error * error) AS squared_error,
  SUM(deviation) AS deviation,
  SUM(deviation * deviation) AS squared_deviation
FROM placed
GROUP BY name, block
