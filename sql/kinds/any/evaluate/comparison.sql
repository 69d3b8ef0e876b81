{% import 'macros/metrics.sql' as metrics %}
/*
Each candidate against the champion on the same draws: candidate minus champion. One row per candidate and metric, none
without a champion.

The bounds are one-sided, each at `confidence`: @gate_confidence shared among the candidates (Bonferroni), because the
best of several is more often lucky than one is. Each is the wider end of the percentile and the basic (reflected)
bootstrap interval: where rows are few, either alone errs more often than it says (bench/gate.py). Order statistics, the
outer one where it falls between two; NULL where a metric is undefined in more than a twentieth of the replicates.
Read by: the gate, `bqloop review`.
*/
CREATE OR REPLACE TABLE {{ run_table.comparison }} AS
WITH paired AS (
  SELECT
    candidate.name AS candidate,
    candidate.metric,
    candidate.value - champion.value AS difference,
    ROW_NUMBER()
      OVER (PARTITION BY candidate.name, candidate.metric ORDER BY candidate.value - champion.value)
      AS place,
    COUNT(*) OVER (PARTITION BY candidate.name, candidate.metric) AS replicates
  FROM {{ run_table.replicates }} AS candidate
  INNER JOIN {{ run_table.replicates }} AS champion
    ON
      candidate.replicate = champion.replicate
      AND candidate.metric = champion.metric
      AND candidate.name != 'champion'
      AND champion.name = 'champion'
),

measured AS (
  SELECT
    models.name,
    measured.metric,
    measured.value
  FROM {{ run_table.metrics }} AS models
  CROSS JOIN
    UNNEST([
      {% for metric in metrics.compared[policy.task] %}
        STRUCT('{{ metric }}' AS metric, models.{{ metric }} AS value){{ ',' if not loop.last }}
      {% endfor %}
    ]) AS measured
  WHERE models.split = 'validation'
),

shared AS (
  SELECT 1 - SAFE_DIVIDE(1 - @gate_confidence, COUNT(DISTINCT candidate)) AS confidence
  FROM paired
),

placed AS (
  SELECT
    paired.*,
    shared.confidence,
    GREATEST(CAST(FLOOR((1 - shared.confidence) * (paired.replicates + 1)) AS INT64), 1) AS outer_place
  FROM paired
  CROSS JOIN shared
),

bounded AS (
  SELECT
    candidate,
    metric,
    confidence,
    replicates,
    MAX(IF(place = outer_place, difference, NULL)) AS low,
    MAX(IF(place = replicates + 1 - outer_place, difference, NULL)) AS high
  FROM placed
  GROUP BY candidate, metric, confidence, replicates
),

observed AS (
  SELECT
    bounded.*,
    candidate.value - champion.value AS difference,
    bounded.replicates >= 0.95 * @bootstrap_replicates AND candidate.value - champion.value IS NOT NULL AS is_known
  FROM bounded
  INNER JOIN measured AS candidate ON bounded.candidate = candidate.name AND bounded.metric = candidate.metric
  INNER JOIN measured AS champion ON bounded.metric = champion.metric AND champion.name = 'champion'
)

SELECT
  candidate,
  metric,
  difference,
  IF(is_known, LEAST(low, 2 * difference - high), NULL) AS lower,
  IF(is_known, GREATEST(high, 2 * difference - low), NULL) AS upper,
  confidence,
  replicates
FROM observed
