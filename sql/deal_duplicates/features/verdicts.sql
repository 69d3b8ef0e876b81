/*
  What is known about each labelled pair as of @as_of. One row per pair.

  Contradictory verdicts: the latest counts; of verdicts learned at the same instant a person's review outranks
  feedback, feedback outranks an import, and then "not a duplicate" outranks "duplicate", as gluing unlike deals
  together costs more.

  Reads labels, clean_deals (a verdict on a deal that is not known yet waits). Read by verdict_links, labelled_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.verdicts }} AS
WITH directed AS (
  SELECT
    *,
    left_source < right_source OR (left_source = right_source AND left_id < right_id) AS in_order
  FROM {{ table.labels }}
  WHERE ingested_at <= @as_of
),

pairs AS (
  SELECT
    FARM_FINGERPRINT(IF(in_order, CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)))
      AS left_key,
    FARM_FINGERPRINT(IF(in_order, CONCAT(right_source, '\n', right_id), CONCAT(left_source, '\n', left_id)))
      AS right_key,
    is_duplicate,
    split,
    origin,
    ingested_at
  FROM directed
)

SELECT
  pairs.left_key,
  pairs.right_key,
  pairs.is_duplicate,
  pairs.split,
  -- Since when anybody has said anything about the pair: that never changes.
  MIN(pairs.ingested_at) OVER (PARTITION BY pairs.left_key, pairs.right_key) AS judged_since
FROM pairs
INNER JOIN {{ run_table.clean_deals }} AS left_deal
  ON pairs.left_key = left_deal.deal_key
INNER JOIN {{ run_table.clean_deals }} AS right_deal
  ON pairs.right_key = right_deal.deal_key
WHERE pairs.left_key != pairs.right_key
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY pairs.left_key, pairs.right_key
  ORDER BY
    pairs.ingested_at DESC,
    CASE pairs.origin WHEN 'review' THEN 0 WHEN 'feedback' THEN 1 ELSE 2 END,
    pairs.is_duplicate ASC,
    pairs.split ASC
) = 1
