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
{{ days.in_force(run_table.pair_probabilities, run_table.superseded_deals, earlier | default(none)) }}
