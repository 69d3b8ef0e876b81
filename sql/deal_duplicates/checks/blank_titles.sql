/*
Deals whose title has no letter and no digit: nothing can be found by it, and every such deal looks like every other.
One row per version of a deal.
*/
SELECT
  source,
  deal_id,
  title,
  ingested_at
FROM {{ table.raw_deals }}
WHERE
  ingested_at <= @as_of
  AND NOT REGEXP_CONTAINS(title, r'[\p{L}\p{N}]')
ORDER BY ingested_at, source, deal_id
