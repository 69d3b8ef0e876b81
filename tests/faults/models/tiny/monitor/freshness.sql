/*
  What is new since @since, and how many labels there are. One row.
*/
SELECT
  COUNTIF(@since IS NULL OR ingested_at > @since) AS new_rows,
  COUNTIF(@since IS NULL OR ingested_at > @since) AS new_labels,
  COUNT(*) AS labels,
  COUNTIF(is_far) AS positives,
  COUNTIF(NOT is_far) AS negatives,
  MAX(ingested_at) AS newest_row,
  MAX(ingested_at) AS newest_label
FROM {{ table.points }}
WHERE ingested_at <= @as_of
