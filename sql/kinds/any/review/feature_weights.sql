/*
What a linear model rests on: the size of each feature's weight, by standard deviations. One row per feature, the
strongest first.
Variable: {% raw %}{{ reviewed.model }}{% endraw %}. Read by: `bqloop review`.
*/
SELECT
  processed_input AS feature,
  ABS(weight) AS importance
FROM ML.WEIGHTS(MODEL {{ reviewed.model }}, STRUCT(TRUE AS standardize))  -- noqa: CP02
WHERE weight IS NOT NULL AND processed_input != '__INTERCEPT__'
ORDER BY importance DESC, feature ASC
LIMIT 25
