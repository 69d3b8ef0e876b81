{% import 'macros/components.sql' as components %}
/*
  Deals tied together, directly or through others. One row per tied deal.

  The label is the name of the cluster's first deal, by day, source and id. Seven steps from it are the end: a longer
  chain falls apart there, because likeness does not carry that far.

  Reads cluster_links. Read by cluster_members.
*/
CREATE OR REPLACE TABLE {{ run_table.clusters }} AS
WITH {{ components.spread(run_table.cluster_links, 'name', 7) }}

SELECT
  member AS deal_key,
  label AS cluster_id
FROM round_7
