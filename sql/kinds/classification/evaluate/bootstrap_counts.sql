{% import 'macros/metrics.sql' as metrics %}
/*
What the paired bootstrap draws from, small however many rows there are. One row per model, block and step of the score.

A block is an entity group, because pairs of one group are not independent; with more groups than @bootstrap_blocks they
are gathered into that many blocks by hash, which leaves the variance what it is. A step is one of about 400 along the
ROC curve, each as long as the next. Champion and candidates share the blocks.
Read by: replicates.
*/
CREATE OR REPLACE TABLE {{ run_table.bootstrap_counts }} AS
WITH size AS (
  SELECT COUNT(DISTINCT entity_group) AS entity_groups
  FROM {{ run_table.outcomes }}
  WHERE split = 'validation'
),

placed AS (
  SELECT
    outcomes.*,
    {{ metrics.block('outcomes.entity_group', 'size.entity_groups') }} AS block,
    CAST(FLOOR(200 * (
      COALESCE(curve.recall, 0) + COALESCE(curve.false_positive_rate, 0)
    )) AS INT64) AS step
  FROM {{ run_table.outcomes }} AS outcomes
  CROSS JOIN size
  INNER JOIN {{ run_table.curve }} AS curve
    ON
      outcomes.name = curve.name
      AND outcomes.split = curve.split
      AND ROUND(outcomes.probability, 6) = curve.score
  WHERE outcomes.split = 'validation'
)

SELECT
  name,
  block,
  step,
  COUNTIF(is_positive) AS positives,
  COUNTIF(NOT is_positive) AS negatives,
  COUNTIF(is_true_positive) AS true_positives,
  COUNTIF(is_false_positive) AS false_positives,
  COUNTIF(is_false_negative) AS false_negatives,
  COUNTIF(is_true_negative) AS true_negatives,
  SUM(loss) AS loss
FROM placed
GROUP BY name, block, step
