/*
  The pairs that the version's run compared and that have one of the given deals in them: the rivals of pairs that are
  asked about. One row per pair. Parameters: @keys, each source and deal_id joined by a line end.

  Reads compared_pairs, clean_deals, both of the version's run. Read by the prediction service.
*/
SELECT
  one.source AS left_source,
  one.deal_id AS left_id,
  other.source AS right_source,
  other.deal_id AS right_id
FROM {{ run_table.compared_pairs }} AS pair
INNER JOIN {{ run_table.clean_deals }} AS one
  ON pair.left_key = one.deal_key
INNER JOIN {{ run_table.clean_deals }} AS other
  ON pair.right_key = other.deal_key
WHERE
  CONCAT(one.source, '\n', one.deal_id) IN UNNEST(@keys)
  OR CONCAT(other.source, '\n', other.deal_id) IN UNNEST(@keys)
