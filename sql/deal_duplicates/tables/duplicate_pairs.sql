/*
  What the champion thinks of each candidate pair, one row per pair; the pairs of one champion, replaced when it
  changes.

  Written by predict/pair_verdicts.sql. Read by predict/cluster_links.sql, `bqloop export` and monitor/.
*/
CREATE TABLE IF NOT EXISTS {{ table.duplicate_pairs }} (
  left_source STRING NOT NULL OPTIONS (description = 'Source of the one deal'),
  left_id STRING NOT NULL OPTIONS (description = 'deal_id of the one deal'),
  right_source STRING NOT NULL OPTIONS (description = 'Source of the other deal'),
  right_id STRING NOT NULL OPTIONS (description = 'deal_id of the other deal'),
  probability FLOAT64 NOT NULL OPTIONS (description = 'That both are the same offer'),
  is_duplicate BOOL NOT NULL OPTIONS (description = 'probability reaches the threshold of the champion'),
  threshold FLOAT64 NOT NULL OPTIONS (description = 'Threshold that was applied'),
  champion STRING NOT NULL OPTIONS (description = 'BigQuery model that scored the pair'),
  run_id STRING NOT NULL OPTIONS (description = 'Run that scored the pair'),
  scored_at TIMESTAMP NOT NULL OPTIONS (description = 'The instant whose data it was scored on')
)
PARTITION BY DATE(scored_at)
CLUSTER BY left_source, left_id
OPTIONS (description = 'Candidate pairs with the probability that they are duplicates')
