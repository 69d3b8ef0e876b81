/*
Deals that end before they begin: the source mixes the two up, or writes dates in another order.
One row per version of a deal.
*/
SELECT
  source,
  deal_id,
  starts_at,
  ends_at,
  ingested_at
FROM {{ table.raw_deals }}
WHERE
  ingested_at <= @as_of
  AND ends_at < starts_at
ORDER BY ingested_at, source, deal_id
LIMIT 1000
