/*
  The mean of each feature among the rows that a version was trained on: what attributions are measured against. One row
  per numeric feature. Parameters: none.

  Reads the version's BigQuery model. Read by the prediction service, once a version.
*/
SELECT
  input AS feature,
  mean
FROM ML.FEATURE_INFO(MODEL {{ champion.model }}) -- noqa: CP02, LT01
WHERE mean IS NOT NULL
