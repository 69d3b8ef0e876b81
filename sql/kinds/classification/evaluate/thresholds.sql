/*
The decision threshold of each model. One row per model; NULL where the validation split holds no positives.

A candidate's is chosen on its validation curve: with @wanted_precision above 0 the one with the most recall among those
that reach that precision, else the best F1. The best of many noisy values is a poor choice where positives are few, so
of all levels within @threshold_plateau standard errors of the best the middle one is taken; the error is that of a
share of the positives.
@expected_positive_rate, where above 0, is the share of positives in production: errors are then counted as they would
occur there, because a threshold tuned on another mix is off.
The champion keeps the threshold that it serves with (@champion_threshold).
*/
CREATE OR REPLACE TABLE {{ run_table.thresholds }} AS
WITH expected AS (
  SELECT
    name,
    threshold,
    recall,
    true_positives,
    all_positives,
    IF(
      @expected_positive_rate > 0,
      SAFE_DIVIDE((1 - @expected_positive_rate) * all_positives, @expected_positive_rate * all_negatives),
      1.0
    ) * false_positives AS false_positives
  FROM {{ run_table.curve }}
  WHERE split = 'validation'
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
  models.name,
  IF(models.name = 'champion', CAST(@champion_threshold AS FLOAT64), chosen.threshold) AS threshold
FROM (SELECT DISTINCT name FROM {{ run_table.predictions }}) AS models
LEFT JOIN chosen ON models.name = chosen.name
