/*
  The latest version of the deals that can be looked up by one of the given keys: what the service's index in BigQuery
  finds candidates among. One row per deal. Parameters: @keys.

  Reads deal_keys, which is clustered by key, and clean_deals of the version's run; raw_deals. Read by the prediction
  service.
*/
WITH sharing AS (
  SELECT DISTINCT
    clean.source,
    clean.deal_id
  FROM {{ run_table.deal_keys }} AS held
  INNER JOIN {{ run_table.clean_deals }} AS clean
    ON held.deal_key = clean.deal_key
  WHERE held.key IN UNNEST(@keys)
)

SELECT came.* EXCEPT (attributes, import_id, content_hash)
FROM {{ table.raw_deals }} AS came
INNER JOIN sharing
  ON came.source = sharing.source AND came.deal_id = sharing.deal_id
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (PARTITION BY came.source, came.deal_id ORDER BY came.ingested_at DESC) = 1
