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
    ARRAY_AGG(candidate.value - champion.value ORDER BY candidate.value - champion.value) AS differences,
    COUNT(*) AS replicates
  FROM {{ run_table.replicates }} AS candidate
  INNER JOIN {{ run_table.replicates }} AS champion
    ON
      candidate.replicate = champion.replicate
      AND candidate.metric = champion.metric
      AND candidate.name != 'champion'
      AND champion.name = 'champion'
  GROUP BY candidate.name, candidate.metric
),

measured AS (
  SELECT
    models.name,
    measured.metric,
    measured.value
  FROM {{ run_table.metrics }} AS models
  CROSS JOIN
    UNNEST([
    {% for metric in [
      'precision', 'recall', 'f1_score', 'accuracy', 'cost', 'log_loss', 'average_precision', 'roc_auc'
    ] %}
        STRUCT('{{ metric }}' AS metric, models.{{ metric }} AS value){{ ',' if not loop.last }}
      {% endfor %}
    ]) AS measured
  WHERE models.split = 'validation'
),

shared AS (
  SELECT 1 - (1 - @gate_confidence) / COUNT(DISTINCT candidate) AS confidence
  FROM paired
),

bounded AS (
  SELECT
    paired.candidate,
    paired.metric,
    paired.replicates,
    shared.confidence,
    paired.differences[
      SAFE_OFFSET(GREATEST(CAST(FLOOR((1 - shared.confidence) * (paired.replicates + 1)) AS INT64) - 1, 0))
    ] AS low,
    paired.differences[
      SAFE_OFFSET(LEAST(CAST(CEIL(shared.confidence * (paired.replicates + 1)) AS INT64) - 1, paired.replicates - 1))
    ] AS high
  FROM paired
  CROSS JOIN shared
  WHERE paired.replicates >= 0.95 * @bootstrap_replicates
)

SELECT
  paired.candidate,
  paired.metric,
  candidate.value - champion.value AS difference,
  LEAST(bounded.low, 2 * (candidate.value - champion.value) - bounded.high) AS lower,
  GREATEST(bounded.high, 2 * (candidate.value - champion.value) - bounded.low) AS upper,
  shared.confidence,
  paired.replicates
FROM paired
CROSS JOIN shared
INNER JOIN measured AS candidate ON paired.candidate = candidate.name AND paired.metric = candidate.metric
INNER JOIN measured AS champion ON paired.metric = champion.metric AND champion.name = 'champion'
LEFT JOIN bounded
  ON
    paired.candidate = bounded.candidate
    AND paired.metric = bounded.metric
    -- NULL is undefined in every engine only this way: not all of them have LEAST give NULL for a NULL.
    AND candidate.value IS NOT NULL
    AND champion.value IS NOT NULL
