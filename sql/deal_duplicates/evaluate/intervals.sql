/*
How sure each metric is: two-sided bounds at @gate_confidence by the bootstrap. One row per model and metric.
Read by: `bqloop review`. The gate does not look at these: two models' own intervals say little about their difference.
*/
CREATE OR REPLACE TABLE {{ run_table.intervals }} AS
WITH ordered AS (
  SELECT
    name,
    metric,
    ARRAY_AGG(value ORDER BY value) AS replicates,
    CAST(FLOOR((1 - @gate_confidence) / 2 * COUNT(*)) AS INT64) AS outside
  FROM {{ run_table.replicates }}
  GROUP BY name, metric
)

SELECT
  name,
  metric,
  replicates[SAFE_OFFSET(outside)] AS lower,
  replicates[SAFE_OFFSET(ARRAY_LENGTH(replicates) - 1 - outside)] AS upper
FROM ordered
