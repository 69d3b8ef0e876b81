/*
  The pairs of one request, in the place of features/compared_pairs: what is asked about and its rivals. One row per
  pair, `left_key` the deal whose source and id sort first.

  Run by the prediction service in its own engine. Reads the request's pairs, clean_deals. Read by pair_words and on.
*/
CREATE OR REPLACE TABLE {{ run_table.compared_pairs }} AS
SELECT DISTINCT
  IF(is_in_order, one.deal_key, other.deal_key) AS left_key,
  IF(is_in_order, other.deal_key, one.deal_key) AS right_key
FROM (
  SELECT
    *,
    left_source < right_source OR (left_source = right_source AND left_id < right_id) AS is_in_order
  FROM {{ request.pairs }}
) AS asked
INNER JOIN {{ run_table.clean_deals }} AS one
  ON asked.left_source = one.source AND asked.left_id = one.deal_id
INNER JOIN {{ run_table.clean_deals }} AS other
  ON asked.right_source = other.source AND asked.right_id = other.deal_id
