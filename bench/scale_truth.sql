/* How the scored pairs of DATASET compare with the truth of the generated deals. One row. */
WITH true_pairs AS (
  SELECT
    one.source AS left_source,
    one.deal_id AS left_id,
    two.source AS right_source,
    two.deal_id AS right_id
  FROM `DATASET.bench_truth` AS one
  INNER JOIN `DATASET.bench_truth` AS two
    ON
      one.offer = two.offer
      AND (one.source < two.source OR (one.source = two.source AND one.deal_id < two.deal_id))
)

SELECT
  (SELECT COUNT(*) FROM `DATASET.bench_truth`) AS deals,
  (SELECT COUNT(*) FROM true_pairs) AS true_pairs,
  COUNT(*) AS pairs,
  COUNTIF(true_pairs.left_id IS NOT NULL) AS found,
  COUNTIF(scored.is_duplicate) AS called,
  COUNTIF(scored.is_duplicate AND true_pairs.left_id IS NOT NULL) AS called_right
FROM `DATASET.duplicate_pairs` AS scored
LEFT JOIN true_pairs
  ON
    scored.left_source = true_pairs.left_source
    AND scored.left_id = true_pairs.left_id
    AND scored.right_source = true_pairs.right_source
    AND scored.right_id = true_pairs.right_id
