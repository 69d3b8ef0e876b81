{% import 'macros/mix.sql' as mix %}
/*
The decision threshold of each model. One row per model; NULL where the validation split holds no positives.

A candidate's is chosen on its validation curve: with @wanted_precision above 0 the one with the most recall among those
that reach that precision, else the best F1. The best of many noisy values is a poor choice where positives are few, so
of all levels within @threshold_plateau standard errors of the best the middle one is taken; the error is that of a
share of the positives.
@expected_positive_rate, where above 0, is the share of positives in production: errors are then counted as they would
occur there, because a threshold tuned on another mix is off. Where it is 0 and `asked` in model.yml names a table of
unlabelled rows as production asks about them, the share is estimated from what the model says of those
(macros/mix.sql). Else it is the share of the labels.
The champion keeps the threshold that it serves with (@champion_threshold).
*/
CREATE OR REPLACE TABLE {{ run_table.thresholds }} AS
WITH {{ mix.estimated(scored, policy, run_table.training_features, run_table[policy.asked]) if policy.asked }}

mixes AS (
  SELECT
    models.name,
    {% if policy.asked %}
      COALESCE(NULLIF(@expected_positive_rate, 0), estimated.rate) AS rate
    {% else %}
      NULLIF(@expected_positive_rate, 0) AS rate
    {% endif %}
  FROM (SELECT DISTINCT name FROM {{ run_table.predictions }}) AS models
  {% if policy.asked %}
    LEFT JOIN estimated
      ON models.name = estimated.name
  {% endif %}
),

expected AS (
  SELECT
    curve.name,
    curve.threshold,
    curve.recall,
    curve.true_positives,
    curve.all_positives,
    COALESCE(
      SAFE_DIVIDE((1 - mixes.rate) * curve.all_positives, mixes.rate * curve.all_negatives), 1.0
    ) * curve.false_positives AS false_positives
  FROM {{ run_table.curve }} AS curve
  INNER JOIN mixes
    ON curve.name = mixes.name
  WHERE curve.split = 'validation'
),

rated AS (
  SELECT
    name,
    threshold,
    all_positives,
    IF(
      @wanted_precision > 0,
      IF(true_positives / (true_positives + false_positives) >= @wanted_precision, recall, NULL),
      2 * true_positives / (true_positives + false_positives + all_positives)
    ) AS worth
  FROM expected
  WHERE true_positives > 0
),

plateau AS (
  SELECT
    name,
    threshold,
    MAX(worth) OVER (PARTITION BY name) AS best
  FROM rated
  WHERE worth IS NOT NULL
  QUALIFY worth >= best - @threshold_plateau * SQRT(SAFE_DIVIDE(best * (1 - best), all_positives))
),

ranked AS (
  SELECT
    name,
    threshold,
    ROW_NUMBER() OVER (PARTITION BY name ORDER BY threshold) AS place,
    COUNT(*) OVER (PARTITION BY name) AS places
  FROM plateau
),

chosen AS (
  SELECT
    name,
    threshold
  FROM ranked
  WHERE place = DIV(places, 2) + 1
)

SELECT
  mixes.name,
  mixes.rate AS expected_positive_rate,
  IF(mixes.name = 'champion', CAST(@champion_threshold AS FLOAT64), chosen.threshold) AS threshold
FROM mixes
LEFT JOIN chosen ON mixes.name = chosen.name
