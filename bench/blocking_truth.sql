/* How many pairs blocking chose, and how many of them are true. One row. */
WITH chosen AS (
  SELECT
    one.source AS left_source,
    one.deal_id AS left_id,
    two.source AS right_source,
    two.deal_id AS right_id
  FROM CANDIDATE_PAIRS AS pair
  INNER JOIN CLEAN_DEALS AS one
    ON pair.left_key = one.deal_key
  INNER JOIN CLEAN_DEALS AS two
    ON pair.right_key = two.deal_key
)

SELECT
  COUNT(*) AS pairs,
  COUNTIF(truth.left_id IS NOT NULL) AS hits
FROM chosen
LEFT JOIN `DATASET.bench_truth` AS truth
  ON
    chosen.left_source = truth.left_source
    AND chosen.left_id = truth.left_id
    AND chosen.right_source = truth.right_source
    AND chosen.right_id = truth.right_id
