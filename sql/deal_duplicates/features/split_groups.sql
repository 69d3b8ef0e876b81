{% import 'macros/components.sql' as components %}
/*
  Which labelled deals must be on one side of the split: those that share a pair, directly or through others,
  duplicates or not. One row per labelled deal.

  Three steps reach all of what reviewers judge around a deal. Where verdicts are so dense that all hang together,
  groups end there, and labelled_pairs leaves out the pairs that would cross the split.

  Reads verdict_links. Read by labelled_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.split_groups }} AS
WITH {{ components.spread(run_table.verdict_links, 'member', 3) }}

SELECT
  member AS deal_key,
  label AS split_group
FROM round_3
