{% import 'macros/days.sql' as days %}
/*
  Writes what the champion thinks of each pair to duplicate_pairs, whichever of its runs said so. One row per pair.

  Reads pair_probabilities, superseded_deals. Read by people and `bqloop export`.
*/
CREATE OR REPLACE TABLE {{ table.duplicate_pairs }}
PARTITION BY DATE(scored_at)
CLUSTER BY left_source, left_id AS
SELECT
  pair.left_source,
  pair.left_id,
  pair.right_source,
  pair.right_id,
  pair.probability,
  pair.probability >= @threshold AS is_duplicate,
  @threshold AS threshold,
  {{ "'" ~ champion.model | replace('`', '') ~ "'" }} AS champion,
  pair.run_id,
  pair.scored_at
{{ days.in_force(run_table.pair_probabilities, run_table.superseded_deals, earlier | default(none)) }}
