{% import 'macros/days.sql' as days %}
/*
  All that the champion has said about the deals as they are now: pairs of this run and of those before it, less those
  of versions of deals that others have taken the place of. One row per pair.

  Keys and the probability alone: all pairs there are pass here every day, and cluster_links reads them three times.

  Reads pair_probabilities, superseded_deals. Read by cluster_links.
*/
CREATE OR REPLACE TABLE {{ run_table.current_pairs }} AS
SELECT
  pair.left_key,
  pair.right_key,
  pair.probability
FROM {{ days.united(run_table.pair_probabilities, earlier | default(none)) }} AS pair
LEFT JOIN {{ run_table.superseded_deals }} AS left_old
  ON pair.left_key = left_old.deal_key
LEFT JOIN {{ run_table.superseded_deals }} AS right_old
  ON pair.right_key = right_old.deal_key
WHERE left_old.deal_key IS NULL AND right_old.deal_key IS NULL
