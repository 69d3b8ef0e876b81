/*
  The latest version of the deals with the given keys, for requests that name a deal instead of giving it whole. One row
  per deal that is known. Parameters: @sources and @deal_ids, side by side.

  Reads raw_deals, clustered by both. Read by the prediction service.
*/
WITH wanted AS (
  SELECT DISTINCT
    source,
    @deal_ids[OFFSET(place)] AS deal_id
  FROM UNNEST(@sources) AS source WITH OFFSET AS place
)

SELECT deals.* EXCEPT (attributes, import_id, content_hash)
FROM {{ table.raw_deals }} AS deals
INNER JOIN wanted
  ON deals.source = wanted.source AND deals.deal_id = wanted.deal_id
WHERE deals.source IN UNNEST(@sources) AND deals.deal_id IN UNNEST(@deal_ids)
QUALIFY ROW_NUMBER() OVER (PARTITION BY deals.source, deals.deal_id ORDER BY deals.ingested_at DESC) = 1
