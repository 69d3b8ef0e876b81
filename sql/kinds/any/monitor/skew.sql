{% import 'macros/served.sql' as served %}
/*
  Does the service see what the champion was trained on? One row per feature.

  Compares the answers of @days days with the champion's training data: Jensen-Shannon divergence, 0 to 1. Labelled
  pairs are picked and served pairs are not, so some distance is natural; @skew_limit says how much is too much.

  Reads inferences. Read by the stage `monitor`.
*/
SELECT
  'skew' AS finding,
  input AS subject,
  value,
  threshold,
  is_anomaly
FROM
  ML.VALIDATE_DATA_SKEW(
    model {{ champion.model }},
    (
      SELECT
        {{ served.features(features) }}
      FROM {{ table.inferences }}
      WHERE
        model = @model
        AND version = @version
        AND {{ served.said() }} IS NOT NULL
        AND answered_at > TIMESTAMP_SUB(@as_of, INTERVAL @days DAY)
        AND answered_at <= @as_of
    ),
    STRUCT(@skew_limit AS numerical_default_threshold)
  )
ORDER BY value DESC
