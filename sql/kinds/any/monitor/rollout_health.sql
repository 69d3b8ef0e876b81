{% import 'macros/answers.sql' as answers %}
{% import 'macros/served.sql' as served %}
/*
How a challenger does beside the champion since it got its share: what the rollout decides by. One row.

Failed are the requests with a row to which the endpoint gave no answer; which version was asked, nobody knows
then, so they are counted for all and held against their share before. Of few requests some are slow by chance:
surely slow is a challenger where three standard deviations fewer of its requests would still be. Distances between
score distributions are Kolmogorov and Smirnov's: the greatest gap between the two distribution functions, 0 to 1.
Parameters: @since, @until (the window), @version, @champion (versions), @candidate. Read by: deployment/rollout.py.
*/
WITH logged AS (
  SELECT
    request_id,
    version,
    {{ served.said() }} AS said,
    endpoint_ms,
    answered_at > @since AS in_window
  FROM {{ table.inferences }}
  WHERE
    model = @model
    -- A search that found no candidate asked the endpoint nothing.
    AND (right_source IS NOT NULL OR row_keys IS NOT NULL)
    AND answered_at > TIMESTAMP_SUB(@since, INTERVAL 7 DAY)
    AND answered_at <= @until
),

requests AS (
  SELECT
    request_id,
    in_window,
    MAX(version) AS version,
    MAX(endpoint_ms) AS endpoint_ms,
    LOGICAL_OR(said IS NULL) AS failed
  FROM logged
  GROUP BY request_id, in_window
),

counted AS (
  SELECT
    COUNTIF(in_window) AS requests,
    COUNTIF(in_window AND failed) AS failed_requests,
    COUNTIF(NOT in_window) AS requests_before,
    COUNTIF(NOT in_window AND failed) AS failed_requests_before,
    COUNTIF(in_window AND NOT failed AND version = @version) AS challenger_requests,
    COUNTIF(in_window AND NOT failed AND version = @champion) AS champion_requests,
    APPROX_QUANTILES(IF(in_window AND version = @version, endpoint_ms, NULL), 100) AS challenger_ms,
    APPROX_QUANTILES(IF(in_window AND version = @champion, endpoint_ms, NULL), 20)[SAFE_OFFSET(19)] AS champion_p95_ms
  FROM requests
),

scores AS (
  SELECT
    IF(version = @version, 'challenger', 'champion') AS origin,
    said
  FROM logged
  WHERE in_window AND said IS NOT NULL AND version IN (@version, @champion)
  UNION ALL
  SELECT
    'validation' AS origin,
    {{ answers.said(policy) }} AS said
  FROM {{ run_table.predictions }}
  WHERE split = 'validation' AND name = @candidate AND {{ answers.said(policy) }} IS NOT NULL
),

accumulated AS (
  SELECT
    SUM(IF(origin = 'challenger', 1, 0)) OVER everything AS challenger_pairs,
    SUM(IF(origin = 'champion', 1, 0)) OVER everything AS champion_pairs,
    SUM(IF(origin = 'validation', 1, 0)) OVER everything AS validation_pairs,
    SUM(IF(origin = 'challenger', 1, 0)) OVER up_to_here AS challenger_up_to_here,
    SUM(IF(origin = 'champion', 1, 0)) OVER up_to_here AS champion_up_to_here,
    SUM(IF(origin = 'validation', 1, 0)) OVER up_to_here AS validation_up_to_here
  FROM scores
  WINDOW
    everything AS (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING),
    up_to_here AS (ORDER BY said RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),

distances AS (
  SELECT
    COALESCE(MAX(challenger_pairs), 0) AS challenger_pairs,
    COALESCE(MAX(champion_pairs), 0) AS champion_pairs,
    COALESCE(MAX(validation_pairs), 0) AS validation_pairs,
    MAX(ABS(
      SAFE_DIVIDE(challenger_up_to_here, challenger_pairs) - SAFE_DIVIDE(champion_up_to_here, champion_pairs)
    )) AS shift_from_champion,
    MAX(ABS(
      SAFE_DIVIDE(challenger_up_to_here, challenger_pairs) - SAFE_DIVIDE(validation_up_to_here, validation_pairs)
    )) AS shift_from_validation
  FROM accumulated
)

SELECT
  * EXCEPT (challenger_ms),
  challenger_ms[SAFE_OFFSET(95)] AS challenger_p95_ms,
  challenger_ms[SAFE_OFFSET(
    GREATEST(0, CAST(FLOOR(95 - 300 * SQRT(SAFE_DIVIDE(0.05 * 0.95, challenger_requests))) AS INT64))
  )] AS challenger_p95_surely_ms
FROM counted
CROSS JOIN distances
