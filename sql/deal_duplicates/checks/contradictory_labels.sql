/*
Pairs on which people disagree. The verdict that came last counts; many such pairs mean that the question is unclear.
One row per pair, whichever way round it was given.
*/
SELECT
  LEAST(CONCAT(left_source, '/', left_id), CONCAT(right_source, '/', right_id)) AS one_deal,
  GREATEST(CONCAT(left_source, '/', left_id), CONCAT(right_source, '/', right_id)) AS other_deal,
  COUNTIF(is_duplicate) AS said_yes,
  COUNTIF(NOT is_duplicate) AS said_no,
  MAX(ingested_at) AS newest
FROM {{ table.labels }}
WHERE ingested_at <= @as_of
GROUP BY one_deal, other_deal
HAVING said_yes > 0 AND said_no > 0
ORDER BY one_deal, other_deal
LIMIT 1000
