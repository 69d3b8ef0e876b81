/*
  The latest version of the deals with the given keys, for requests that name a deal instead of giving it whole. One row
  per deal that is known.

  Parameters: @keys, each source and deal_id joined by a line end; @sources and @deal_ids of them, which prune the
  table's clusters. Reads raw_deals. Read by the prediction service.
*/
SELECT * EXCEPT (attributes, import_id, content_hash)
FROM {{ table.raw_deals }}
WHERE
  source IN UNNEST(@sources)
  AND deal_id IN UNNEST(@deal_ids)
  AND CONCAT(source, '\n', deal_id) IN UNNEST(@keys)
QUALIFY ROW_NUMBER() OVER (PARTITION BY source, deal_id ORDER BY ingested_at DESC) = 1
