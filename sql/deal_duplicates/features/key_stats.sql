/*
  How many deals can be looked up by a key. One row per key; one that is not listed leads to one deal.

  Frozen with the run that trained, like token_stats: whether a key is too common to be used does not change from day
  to day, so pairs that were found stay found.

  Reads deal_keys. Read by deal_blocks.
*/
CREATE OR REPLACE TABLE {{ run_table.key_stats }}
CLUSTER BY key AS
SELECT
  key,
  COUNT(*) AS deals
FROM {{ run_table.deal_keys }}
GROUP BY key
HAVING COUNT(*) > 1
