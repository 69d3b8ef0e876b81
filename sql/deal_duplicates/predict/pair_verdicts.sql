{% import 'macros/days.sql' as days %}
/*
  Lets duplicate_pairs show what the champion thinks of each pair, whichever of its runs said so. One row per pair.

  A view: the rows stand in the tables of these runs, and a day does not write all pairs there ever were once more.

  Reads pair_probabilities, superseded_deals. Read by people and `bqloop export`.
*/
CREATE OR REPLACE VIEW {{ table.duplicate_pairs }} AS
SELECT
  pair.left_source,
  pair.left_id,
  pair.right_source,
  pair.right_id,
  pair.probability,
  pair.probability >= pair.threshold AS is_duplicate,
  pair.threshold,
  {{ "'" ~ champion.model | replace('`', '') ~ "'" }} AS champion,
  pair.run_id,
  pair.scored_at
{{ days.in_force(run_table.pair_probabilities, run_table.superseded_deals, earlier | default(none)) }}
