{% import 'macros/served.sql' as served %}
/*
  How the service did in the last @days days, and how people judged it. One row.

  `score_shift` is the greatest gap between the distribution functions of the scores in these days and in the four times
  as many days before (Kolmogorov and Smirnov), 0 to 1. Live precision is over verdicts on answers that said yes, with
  Wilson's interval at 95 %; verdicts are not a random sample unless the review queue's reason is `random`.

  Reads inferences, feedback. Read by the stage `monitor`.
*/
WITH answers AS (
  SELECT
    *,
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
    COUNTIF(is_recent AND probability IS NOT NULL) AS pairs,
    COUNTIF(NOT is_recent AND probability IS NOT NULL) AS pairs_before,
    COUNT(DISTINCT IF(is_recent AND route = 'duplicates', request_id, NULL)) AS searches,
    COUNT(DISTINCT IF(is_recent AND candidates = 0, request_id, NULL)) AS searches_without_candidates,
    AVG(IF(is_recent, CAST(is_duplicate AS INT64), NULL)) AS duplicate_share,
    AVG(IF(NOT is_recent, CAST(is_duplicate AS INT64), NULL)) AS duplicate_share_before,
    APPROX_QUANTILES(IF(is_recent, latency_ms, NULL), 100)[SAFE_OFFSET(50)] AS p50_ms,
    APPROX_QUANTILES(IF(is_recent, latency_ms, NULL), 100)[SAFE_OFFSET(95)] AS p95_ms
  FROM answers
),

{{ served.shift('probability') }},

verdicts AS (
  SELECT
    COUNT(*) AS judged,
    COUNTIF(said.is_duplicate) AS confirmed
  FROM {{ table.feedback }} AS said
  INNER JOIN answers
    ON
      said.request_id = answers.request_id
      AND said.left_source = answers.left_source
      AND said.left_id = answers.left_id
      AND said.right_source = answers.right_source
      AND said.right_id = answers.right_id
  WHERE answers.is_recent AND answers.is_duplicate
)

SELECT
  counted.*,
  shift.score_shift,
  verdicts.judged,
  verdicts.confirmed,
  SAFE_DIVIDE(verdicts.confirmed, verdicts.judged) AS live_precision,
  SAFE_DIVIDE(
    verdicts.confirmed + 1.9208 - 1.96 * SQRT(
      SAFE_DIVIDE(verdicts.confirmed * (verdicts.judged - verdicts.confirmed), verdicts.judged) + 0.9604
    ),
    verdicts.judged + 3.8416
  ) AS live_precision_lower,
  SAFE_DIVIDE(
    verdicts.confirmed + 1.9208 + 1.96 * SQRT(
      SAFE_DIVIDE(verdicts.confirmed * (verdicts.judged - verdicts.confirmed), verdicts.judged) + 0.9604
    ),
    verdicts.judged + 3.8416
  ) AS live_precision_upper
FROM counted
CROSS JOIN shift
CROSS JOIN verdicts
