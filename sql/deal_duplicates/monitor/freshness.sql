/*
  What is new since the last run that trained (@since, NULL before the first) and how many labels there are as of
  @as_of. One row.

  Labels are counted as pairs, not as verdicts: ten people who say the same about one pair teach one thing.

  Reads raw_deals, labels. Read by the stage `check`, which compares it with `freshness` in model.yml.
*/
WITH pairs AS (
  SELECT
    LEAST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS one,
    GREATEST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS other,
    is_duplicate,
    ingested_at
  FROM {{ table.labels }}
  WHERE ingested_at <= @as_of
),

latest AS (
  SELECT *
  FROM pairs
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY one, other ORDER BY ingested_at DESC, is_duplicate ASC) = 1
),

known AS (
  SELECT
    COUNT(*) AS labels,
    COUNTIF(is_duplicate) AS positives,
    COUNTIF(NOT is_duplicate) AS negatives,
    COUNTIF(@since IS NULL OR ingested_at > @since) AS new_labels,
    MAX(ingested_at) AS newest_label
  FROM latest
),

came AS (
  SELECT
    COUNTIF(@since IS NULL OR ingested_at > @since) AS new_rows,
    MAX(ingested_at) AS newest_row
  FROM {{ table.raw_deals }}
  WHERE ingested_at <= @as_of
)

SELECT
  came.new_rows,
  known.new_labels,
  known.labels,
  known.positives,
  known.negatives,
  came.newest_row,
  known.newest_label
FROM came
CROSS JOIN known
