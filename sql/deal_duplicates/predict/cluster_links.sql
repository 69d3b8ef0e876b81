{% import 'macros/days.sql' as days %}
/*
  The pairs that tie deals together, less those that would glue unlike deals: where two deals are surely not the same
  but both are tied to a third, the weaker of the two ties is cut. One row per deal and neighbour, each its own
  neighbour.

  `name` tells the day on which the deal was first seen, whatever has changed about it since: the clusters' names are
  made of it, and stay.

  Reads current_pairs, clean_deals, raw_deals. Read by clusters.
*/
CREATE OR REPLACE TABLE {{ run_table.cluster_links }} AS
WITH deals AS (
  SELECT
    deal.deal_key,
    CONCAT(CAST(DATE(MIN(came.ingested_at)) AS STRING), ' ', deal.source, ' ', deal.deal_id) AS name
  FROM {{ days.united(run_table.clean_deals, earlier | default(none)) }} AS deal
  INNER JOIN {{ table.raw_deals }} AS came
    ON deal.source = came.source AND deal.deal_id = came.deal_id
  WHERE came.ingested_at <= @as_of
  GROUP BY deal.deal_key, deal.source, deal.deal_id
),

ties AS (
  SELECT
    left_key AS member,
    right_key AS neighbour,
    probability
  FROM {{ run_table.current_pairs }}
  WHERE probability >= @threshold
  UNION ALL
  SELECT
    right_key AS member,
    left_key AS neighbour,
    probability
  FROM {{ run_table.current_pairs }}
  WHERE probability >= @threshold
),

contradicted AS (
  SELECT DISTINCT
    IF(one.probability < two.probability, one.member, two.member) AS member,
    IF(one.probability < two.probability, one.neighbour, two.neighbour) AS neighbour
  FROM {{ run_table.current_pairs }} AS unlike
  INNER JOIN ties AS one
    ON unlike.left_key = one.member
  INNER JOIN ties AS two
    ON unlike.right_key = two.member AND one.neighbour = two.neighbour
  WHERE unlike.probability < @unlike_below * @threshold
),

kept AS (
  SELECT ties.*
  FROM ties
  LEFT JOIN contradicted
    ON
      (ties.member = contradicted.member AND ties.neighbour = contradicted.neighbour)
  LEFT JOIN contradicted AS reverse
    ON
      (ties.member = reverse.neighbour AND ties.neighbour = reverse.member)
  WHERE contradicted.member IS NULL AND reverse.member IS NULL
)

SELECT
  kept.member,
  kept.neighbour,
  kept.probability,
  deal.name
FROM kept
INNER JOIN deals AS deal
  ON kept.member = deal.deal_key
UNION ALL
SELECT DISTINCT
  kept.member,
  kept.member AS neighbour,
  1.0 AS probability,
  deal.name
FROM kept
INNER JOIN deals AS deal
  ON kept.member = deal.deal_key
