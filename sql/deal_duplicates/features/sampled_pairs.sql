{% import 'macros/lot.sql' as lot %}
/*
  A sample of the candidates, drawn by hash: what production asks about, in small. One row per pair, at most
  @pairs_sampled.

  Training compares these and the labelled pairs, with their rivals, and no others: what it costs is a matter of how
  much people have judged, not of how many deals there are.

  Reads candidate_pairs. Read by compared_pairs and labels/coverage.
*/
CREATE OR REPLACE TABLE {{ run_table.sampled_pairs }} AS
SELECT
  left_key,
  right_key
FROM {{ run_table.candidate_pairs }}
ORDER BY {{ lot.of_pair() }}
LIMIT @pairs_sampled
