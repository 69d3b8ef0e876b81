{% import 'macros/components.sql' as components %}
{% import 'macros/days.sql' as days %}
/*
  Deals tied together, directly or through others. One row per tied deal.

  A cluster bears the name of its first deal, by day, source and id. The day is the one on which that deal was first
  seen, whatever has changed about it since: names stay from day to day. Seven steps from the first deal are the end: a
  longer chain falls apart there, because likeness does not carry that far. `cluster_label` tells clusters apart within
  the run, in eight bytes.

  Reads cluster_links, clean_deals, raw_deals. Read by cluster_members.
*/
CREATE OR REPLACE TABLE {{ run_table.clusters }} AS
WITH named AS (
  SELECT
    link.member,
    DATE(MIN(came.ingested_at)) AS first_seen_on,
    CONCAT(CAST(DATE(MIN(came.ingested_at)) AS STRING), ' ', deal.source, ' ', deal.deal_id) AS name
  FROM {{ run_table.cluster_links }} AS link
  INNER JOIN {{ days.united(run_table.clean_deals, earlier | default(none)) }} AS deal
    ON link.member = deal.deal_key
  INNER JOIN {{ table.raw_deals }} AS came
    ON deal.source = came.source AND deal.deal_id = came.deal_id
  WHERE link.member = link.neighbour AND came.ingested_at <= @as_of
  GROUP BY link.member, deal.source, deal.deal_id
),

-- The day in the upper half, the place within the day in the lower one: nothing is sorted but a day.
round_0 AS (
  SELECT
    member,
    name,
    UNIX_DATE(first_seen_on) * 4294967296 + ROW_NUMBER() OVER (PARTITION BY first_seen_on ORDER BY name) AS label
  FROM named
),

{{ components.spread(run_table.cluster_links, 7) }}

SELECT
  round_7.member AS deal_key,
  round_7.label AS cluster_label,
  first_deal.name AS cluster_id
FROM round_7
INNER JOIN round_0 AS first_deal
  ON round_7.label = first_deal.label
