/*
  The labelled pairs that the version's run compared, found by blocking or not: they count among the rivals of other
  pairs, as they did when it was trained. One row per pair.

  Reads labelled_pairs, clean_deals, both of the version's run. Read by the prediction service for its index.
*/
SELECT
  one.source AS left_source,
  one.deal_id AS left_id,
  other.source AS right_source,
  other.deal_id AS right_id
FROM {{ run_table.labelled_pairs }} AS pair
INNER JOIN {{ run_table.clean_deals }} AS one
  ON pair.left_key = one.deal_key
INNER JOIN {{ run_table.clean_deals }} AS other
  ON pair.right_key = other.deal_key
