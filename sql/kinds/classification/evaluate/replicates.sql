/*
Every metric in every replicate of the bootstrap. One row per replicate, model and metric.
Read by: comparison, intervals.
*/
CREATE OR REPLACE TABLE {{ run_table.replicates }} AS
WITH drawn AS (
  SELECT
    weights.replicate,
    counts.name,
    counts.step,
    {% for count in [
      'positives', 'negatives', 'true_positives', 'false_positives', 'false_negatives', 'true_negatives', 'loss'
    ] %}
    SUM(weights.weight * counts.{{ count }}) AS {{ count }}{{ ',' if not loop.last }}
  {% endfor %}
  FROM {{ run_table.bootstrap_counts }} AS counts
  INNER JOIN {{ run_table.bootstrap_weights }} AS weights ON counts.block = weights.block
  GROUP BY weights.replicate, counts.name, counts.step
),

ranked AS (
  SELECT
    *,
    SUM(positives) OVER above AS positives_above,
    SUM(negatives) OVER above AS negatives_above
  FROM drawn
  WINDOW
    above AS (PARTITION BY replicate, name ORDER BY step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),

totals AS (
  SELECT
    replicate,
    name,
    SUM(positives) AS positives,
    SUM(negatives) AS negatives,
    SUM(true_positives) AS tp,
    SUM(false_positives) AS fp,
    SUM(false_negatives) AS fn,
    SUM(true_negatives) AS tn,
    SUM(loss) AS loss,
    SUM(positives * positives_above / (positives_above + negatives_above)) AS precision_area,
    SUM(negatives * (positives_above - positives / 2)) AS pairs_in_order
  FROM ranked
  GROUP BY replicate, name
)

SELECT
  totals.replicate,
  totals.name,
  measured.metric,
  measured.value
FROM totals
CROSS JOIN
  UNNEST([
    STRUCT('precision' AS metric, SAFE_DIVIDE(tp, tp + fp) AS value),
    STRUCT('recall' AS metric, SAFE_DIVIDE(tp, tp + fn) AS value),
    STRUCT('f1_score' AS metric, SAFE_DIVIDE(2 * tp, 2 * tp + fp + fn) AS value),
    STRUCT('accuracy' AS metric, SAFE_DIVIDE(tp + tn, tp + fp + fn + tn) AS value),
    STRUCT(
      'cost' AS metric,
      SAFE_DIVIDE(@cost_false_positive * fp + @cost_false_negative * fn, tp + fp + fn + tn) AS value
    ),
    STRUCT('log_loss' AS metric, SAFE_DIVIDE(loss, positives + negatives) AS value),
    STRUCT('average_precision' AS metric, SAFE_DIVIDE(precision_area, positives) AS value),
    STRUCT('roc_auc' AS metric, SAFE_DIVIDE(pairs_in_order, positives * negatives) AS value)
  ]) AS measured
WHERE measured.value IS NOT NULL
