{% import 'macros/served.sql' as served %}
/*
  How the service did in the last @days days. One row.

  `score_shift` is the greatest gap between the distribution functions of what it said in these days and in the four
  times as many days before (Kolmogorov and Smirnov), 0 to 1. `pairs` counts answers, whatever the model's rows are.

  Reads inferences. Read by the stage `monitor`.
*/
WITH answers AS (
  SELECT
    request_id,
    latency_ms,
    {{ served.said() }} AS said,
    answered_at > TIMESTAMP_SUB(@as_of, INTERVAL @days DAY) AS is_recent
  FROM {{ table.inferences }}
  WHERE
    model = @model
    AND answered_at > TIMESTAMP_SUB(@as_of, INTERVAL 5 * @days DAY)
    AND answered_at <= @as_of
),

counted AS (
  SELECT
    COUNT(DISTINCT IF(is_recent, request_id, NULL)) AS requests,
    COUNTIF(is_recent AND said IS NOT NULL) AS pairs,
    COUNTIF(NOT is_recent AND said IS NOT NULL) AS pairs_before,
    AVG(IF(is_recent, said, NULL)) AS mean_said,
    AVG(IF(NOT is_recent, said, NULL)) AS mean_said_before,
    APPROX_QUANTILES(IF(is_recent, latency_ms, NULL), 100)[SAFE_OFFSET(50)] AS p50_ms,
    APPROX_QUANTILES(IF(is_recent, latency_ms, NULL), 100)[SAFE_OFFSET(95)] AS p95_ms
  FROM answers
),

{{ served.shift('said') }}

SELECT
  counted.*,
  shift.score_shift
FROM counted
CROSS JOIN shift
