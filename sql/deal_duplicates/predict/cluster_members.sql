{% import 'macros/days.sql' as days %}
/*
  Writes the duplicates: every deal that shares a cluster with another. One row per deal.

  The canonical deal is the one that tells most: with a price, then with the longest text, then the first seen.

  Reads clusters, cluster_links, clean_deals. Read by people and `bqloop export`.
*/
CREATE OR REPLACE TABLE {{ table.duplicates }}
CLUSTER BY cluster_id AS
WITH surest AS (
  SELECT
    link.member,
    MAX(link.probability) AS probability
  FROM {{ run_table.cluster_links }} AS link
  INNER JOIN {{ run_table.clusters }} AS one
    ON link.member = one.deal_key
  INNER JOIN {{ run_table.clusters }} AS two
    ON link.neighbour = two.deal_key
  WHERE link.member != link.neighbour AND one.cluster_label = two.cluster_label
  GROUP BY link.member
),

members AS (
  SELECT
    deal.source,
    deal.deal_id,
    cluster.cluster_id,
    surest.probability,
    COUNT(*) OVER (PARTITION BY cluster.cluster_label) AS deals,
    FIRST_VALUE(STRUCT(deal.source AS source, deal.deal_id AS deal_id)) OVER (
      PARTITION BY cluster.cluster_label
      ORDER BY
        deal.price IS NULL,
        LENGTH(deal.squashed_text) DESC,
        deal.seen_on,
        deal.source ASC,
        deal.deal_id ASC
    ) AS canonical
  FROM {{ run_table.clusters }} AS cluster
  INNER JOIN {{ days.united(run_table.clean_deals, earlier | default(none)) }} AS deal
    ON cluster.deal_key = deal.deal_key
  INNER JOIN surest
    ON cluster.deal_key = surest.member
)

SELECT
  source,
  deal_id,
  cluster_id,
  canonical.source AS canonical_source,
  canonical.deal_id AS canonical_id,
  deals,
  probability,
  @run_id AS run_id,
  @as_of AS as_of
FROM members
WHERE deals > 1
