{% set lanes = range(10) %}
/*
Every metric in every replicate of the bootstrap. One row per replicate, model and metric.

The replicates stand side by side, {{ lanes | length }} to a row, while blocks are added up by step: a row per
replicate, block and step would be some hundred million rows.
Read by: comparison, intervals.
*/
CREATE OR REPLACE TABLE {{ run_table.replicates }} AS
WITH weights AS (
  SELECT
    block,
    DIV(replicate, {{ lanes | length }}) AS batch,
  {% for lane in lanes %}
    SUM(IF(MOD(replicate, {{ lanes | length }}) = {{ lane }}, weight, 0)) AS weight_{{ lane }}{{ ',' if not loop.last }}
  {% endfor %}
  FROM {{ run_table.bootstrap_weights }}
  GROUP BY block, batch
),

stepped AS (
  SELECT
    weights.batch,
    counts.name,
    counts.step,
  {% for lane in lanes %}
    SUM(counts.positives * weights.weight_{{ lane }}) AS positives_{{ lane }},
    SUM(counts.negatives * weights.weight_{{ lane }}) AS negatives_{{ lane }}{{ ',' if not loop.last }}
  {% endfor %}
  FROM {{ run_table.bootstrap_counts }} AS counts
  INNER JOIN weights ON counts.block = weights.block
  GROUP BY weights.batch, counts.name, counts.step
),

drawn AS (
  SELECT
    {{ lanes | length }} * stepped.batch + lane.place AS replicate,
    stepped.name,
    stepped.step,
    lane.positives,
    lane.negatives
  FROM stepped
  CROSS JOIN
    UNNEST([
      {% for lane in lanes %}
        STRUCT(
          {{ lane }} AS place, stepped.positives_{{ lane }} AS positives, stepped.negatives_{{ lane }} AS negatives
        ){{ ',' if not loop.last }}
      {% endfor %}
    ]) AS lane
  WHERE lane.positives + lane.negatives > 0
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

areas AS (
  SELECT
    replicate,
    name,
    SUM(positives) AS positives,
    SUM(negatives) AS negatives,
    SUM(positives * positives_above / (positives_above + negatives_above)) AS precision_area,
    SUM(negatives * (positives_above - positives / 2)) AS pairs_in_order
  FROM ranked
  GROUP BY replicate, name
),

blocks AS (
  SELECT
    name,
    block,
    SUM(true_positives) AS tp,
    SUM(false_positives) AS fp,
    SUM(false_negatives) AS fn,
    SUM(true_negatives) AS tn,
    SUM(loss) AS loss
  FROM {{ run_table.bootstrap_counts }}
  GROUP BY name, block
),

outcomes AS (
  SELECT
    drawn.replicate,
    blocks.name,
    SUM(drawn.weight * blocks.tp) AS tp,
    SUM(drawn.weight * blocks.fp) AS fp,
    SUM(drawn.weight * blocks.fn) AS fn,
    SUM(drawn.weight * blocks.tn) AS tn,
    SUM(drawn.weight * blocks.loss) AS loss
  FROM blocks
  INNER JOIN {{ run_table.bootstrap_weights }} AS drawn ON blocks.block = drawn.block
  GROUP BY drawn.replicate, blocks.name
),

totals AS (
  SELECT
    areas.*,
    outcomes.tp,
    outcomes.fp,
    outcomes.fn,
    outcomes.tn,
    outcomes.loss
  FROM areas
  INNER JOIN outcomes ON areas.replicate = outcomes.replicate AND areas.name = outcomes.name
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
