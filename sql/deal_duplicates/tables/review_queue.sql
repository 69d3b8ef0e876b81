/*
  Pairs worth asking a person about, the most useful first. One row per pair of the last 14 days that nobody has judged.

  Four reasons: `uncertain` (near the threshold), `disagreement` (the pair got different answers, from two versions or
  in other company), `unseen_source` (a source without labels), `random` (a fixed hundredth of all pairs by hash, so
  that live precision can be measured without the bias of the other three).

  Reads inferences, labels, feedback. Read by people: SELECT * FROM review_queue ORDER BY rank.
*/
CREATE OR REPLACE VIEW {{ table.review_queue }} AS
WITH answers AS (
  SELECT
    left_source,
    left_id,
    right_source,
    right_id,
    ARRAY_AGG(probability ORDER BY answered_at DESC LIMIT 1)[OFFSET(0)] AS probability,
    MIN(ABS(probability - threshold)) AS distance,
    COUNT(DISTINCT is_duplicate) > 1 AS versions_disagree,
    MAX(answered_at) AS answered_at
  FROM {{ table.inferences }}
  WHERE
    answered_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 14 DAY)
    AND right_id IS NOT NULL
  GROUP BY left_source, left_id, right_source, right_id
),

judged AS (
  SELECT
    left_source,
    left_id,
    right_source,
    right_id
  FROM {{ table.labels }}
  UNION DISTINCT
  -- Labels stand in the order in which they were given; the service's answers in the order of source and id.
  SELECT
    right_source,
    right_id,
    left_source,
    left_id
  FROM {{ table.labels }}
  UNION DISTINCT
  SELECT
    left_source,
    left_id,
    right_source,
    right_id
  FROM {{ table.feedback }}
),

known_sources AS (
  SELECT left_source AS source FROM {{ table.labels }}
  UNION DISTINCT
  SELECT right_source AS source FROM {{ table.labels }}
),

reasoned AS (
  SELECT
    answers.*,
    CASE
      WHEN MOD(FARM_FINGERPRINT(CONCAT(
        answers.left_source, '\n', answers.left_id, '\n', answers.right_source, '\n', answers.right_id
      )), 100) = 0 THEN 'random'
      WHEN answers.versions_disagree THEN 'disagreement'
      WHEN
        answers.left_source NOT IN (SELECT source FROM known_sources)
        OR answers.right_source NOT IN (SELECT source FROM known_sources) THEN 'unseen_source'
      ELSE 'uncertain'
    END AS reason
  FROM answers
  LEFT JOIN judged
    ON
      answers.left_source = judged.left_source
      AND answers.left_id = judged.left_id
      AND answers.right_source = judged.right_source
      AND answers.right_id = judged.right_id
  WHERE judged.left_id IS NULL
)

SELECT
  * EXCEPT (versions_disagree),
  -- Round by round one pair of each reason, so that no reason crowds out the others.
  ROW_NUMBER() OVER (PARTITION BY reason ORDER BY distance, left_source, left_id, right_source, right_id) AS rank
FROM reasoned
