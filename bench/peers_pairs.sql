/* The pairs that bqloop scored in DATASET, as peers_truth.sql wants them. One row per pair. */
SELECT
  CONCAT(left_source, '/', left_id) AS one_id,
  CONCAT(right_source, '/', right_id) AS two_id,
  probability,
  is_duplicate AS called
FROM `DATASET.duplicate_pairs`
