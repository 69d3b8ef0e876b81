/*
  The latest version of each deal that came since @since, for the service's index. One row per deal.

  Parameters: @since, TIMESTAMP. Reads raw_deals, whose partitions @since prunes. Read by the prediction service when it
  starts, and again and again for what is new.
*/
SELECT * EXCEPT (attributes, import_id, content_hash)
FROM {{ table.raw_deals }}
WHERE ingested_at > @since
QUALIFY ROW_NUMBER() OVER (PARTITION BY source, deal_id ORDER BY ingested_at DESC) = 1
