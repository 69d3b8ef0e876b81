/*
Labels about deals that never came: they teach nothing, and mostly mean that sources are named differently in two files.
One row per label.
*/
WITH deals AS (
  SELECT DISTINCT
    source,
    deal_id
  FROM {{ table.raw_deals }}
  WHERE ingested_at <= @as_of
)

SELECT
  labels.left_source,
  labels.left_id,
  labels.right_source,
  labels.right_id,
  left_deals.deal_id IS NULL AS left_is_missing,
  right_deals.deal_id IS NULL AS right_is_missing
FROM {{ table.labels }} AS labels
LEFT JOIN deals AS left_deals
  ON labels.left_source = left_deals.source AND labels.left_id = left_deals.deal_id
LEFT JOIN deals AS right_deals
  ON labels.right_source = right_deals.source AND labels.right_id = right_deals.deal_id
WHERE
  labels.ingested_at <= @as_of
  AND (left_deals.deal_id IS NULL OR right_deals.deal_id IS NULL)
ORDER BY labels.left_source, labels.left_id, labels.right_source, labels.right_id
LIMIT 1000
