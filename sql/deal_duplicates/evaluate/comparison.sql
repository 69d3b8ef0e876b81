/*
Each candidate against the champion on the same draws: candidate minus champion. One row per candidate and metric, none
without a champion.

The bounds are one-sided, each at `confidence`: @gate_confidence shared among the candidates (Bonferroni), because the
best of several is more often lucky than one is. They are order statistics of the replicates, the outer one where it
falls between two, and NULL where a metric is undefined in more than a twentieth of the replicates.
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
    paired.*,
    shared.confidence,
    GREATEST(CAST(FLOOR((1 - shared.confidence) * (paired.replicates + 1)) AS INT64) - 1, 0) AS outside
  FROM paired
  CROSS JOIN shared
)

SELECT
  bounded.candidate,
  bounded.metric,
  candidate.value - champion.value AS difference,
  IF(
    bounded.replicates >= 0.95 * @bootstrap_replicates, bounded.differences[SAFE_OFFSET(bounded.outside)], NULL
  ) AS lower,
  IF(
    bounded.replicates >= 0.95 * @bootstrap_replicates,
    bounded.differences[SAFE_OFFSET(bounded.replicates - 1 - bounded.outside)],
    NULL
  ) AS upper,
  bounded.confidence,
  bounded.replicates
FROM bounded
INNER JOIN measured AS candidate ON bounded.candidate = candidate.name AND bounded.metric = candidate.metric
INNER JOIN measured AS champion ON bounded.metric = champion.metric AND champion.name = 'champion'
