/*
How sure each metric is: two-sided bounds at @gate_confidence by the bootstrap. One row per model and metric.
Read by: `bqloop review`. The gate does not look at these: two models' own intervals say little about their difference.
*/
CREATE OR REPLACE TABLE {{ run_table.intervals }} AS
WITH placed AS (
  SELECT
    name,
    metric,
    value,
    ROW_NUMBER() OVER (PARTITION BY name, metric ORDER BY value) AS place,
    COUNT(*) OVER (PARTITION BY name, metric) AS replicates
  FROM {{ run_table.replicates }}
),

ended AS (
  SELECT
    *,
    GREATEST(CAST(FLOOR((1 - @gate_confidence) / 2 * (replicates + 1)) AS INT64), 1) AS outer_place
  FROM placed
)

SELECT
  name,
  metric,
  MAX(IF(place = outer_place, value, NULL)) AS lower,
  MAX(IF(place = replicates + 1 - outer_place, value, NULL)) AS upper
FROM ended
GROUP BY name, metric
