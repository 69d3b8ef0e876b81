{% set rows = table | attr(policy.rows) %}
/*
  What is new since the last run that trained (@since, NULL before the first) and how many labels there are as of
  @as_of, each row counted once. One row.

  Reads the model's raw rows. Read by the stage `check`, which compares it with `freshness` in model.yml.
*/
WITH latest AS (
  SELECT
    ingested_at,
    {{ policy.label }} AS label
  FROM {{ rows }}
  WHERE ingested_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {{ policy.keys | join(', ') }} ORDER BY ingested_at DESC) = 1
)

SELECT
  COUNTIF(@since IS NULL OR ingested_at > @since) AS new_rows,
  COUNTIF(label IS NOT NULL AND (@since IS NULL OR ingested_at > @since)) AS new_labels,
  COUNTIF(label IS NOT NULL) AS labels,
  {% if policy.task == 'classification' %}
  COUNTIF(LOWER(CAST(label AS STRING)) = LOWER('{{ policy.positive }}')) AS positives,
  COUNTIF(LOWER(CAST(label AS STRING)) != LOWER('{{ policy.positive }}')) AS negatives,
  {% endif %}
  MAX(ingested_at) AS newest_row,
  MAX(IF(label IS NOT NULL, ingested_at, NULL)) AS newest_label
FROM latest
