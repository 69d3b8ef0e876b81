/*
  Which deals are the same offer, one row per deal that has a duplicate.

  `cluster_id` names the deal of the cluster that was seen first, so it stays from day to day while that deal does.

  Written by predict/cluster_members.sql. Read by whoever wants to show an offer once.
*/
CREATE TABLE IF NOT EXISTS {{ table.duplicates }} (
  source STRING NOT NULL OPTIONS (description = 'Source of the deal'),
  deal_id STRING NOT NULL OPTIONS (description = 'The deal, within its source'),
  cluster_id STRING NOT NULL OPTIONS (description = 'The cluster: first day, source and id of its first deal'),
  canonical_source STRING NOT NULL OPTIONS (description = 'Source of the deal that stands for the cluster'),
  canonical_id STRING NOT NULL OPTIONS (description = 'The deal that stands for the cluster'),
  deals INT64 NOT NULL OPTIONS (description = 'How many deals the cluster holds'),
  probability FLOAT64 NOT NULL OPTIONS (description = 'Of the surest pair that ties the deal to its cluster'),
  run_id STRING NOT NULL OPTIONS (description = 'Run that wrote it'),
  as_of TIMESTAMP NOT NULL OPTIONS (description = 'The instant whose data it was made of')
)
CLUSTER BY cluster_id
OPTIONS (description = 'Duplicate deals: one row per deal that shares a cluster')
