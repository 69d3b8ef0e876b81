/*
What a tree model rests on: the share of the gain that each feature brought. One row per feature, the strongest first.
Variable: {% raw %}{{ reviewed.model }}{% endraw %}. Read by: `bqloop review`.
*/
SELECT
  feature,
  importance_gain AS importance
FROM ML.FEATURE_IMPORTANCE(MODEL {{ reviewed.model }})  -- noqa: CP02, LT01
ORDER BY importance DESC, feature ASC
LIMIT 25
