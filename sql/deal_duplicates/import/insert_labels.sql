/*
  Lands one import's labels in labels: a row for each verdict that says something new about its pair.

  Something new is: the pair had no verdict as of @ingested_at, had the other one, or gets a split that it did not have.
  A pair has no direction. An import that has landed already adds nothing, so this may run again after any interruption.

  `staging` holds the file's rows, `columns` lists the fields, read from labels itself, without labelled_at.
  Parameters: @import_id, @ingested_at, @sources (all sources in the file: they spare reading the others).
*/
INSERT INTO {{ table.labels }} (
  {{ columns | join(', ') }},
  labelled_at,
  origin,
  import_id,
  ingested_at
)
WITH verdicts AS (
  SELECT
    0 AS line,
    ingested_at,
    left_source,
    left_id,
    right_source,
    right_id,
    is_duplicate,
    split
  FROM {{ table.labels }}
  WHERE
    left_source IN UNNEST(@sources)
    AND right_source IN UNNEST(@sources)
    AND ingested_at < TIMESTAMP_ADD(@ingested_at, INTERVAL 1 SECOND)
  UNION ALL
  SELECT
    line,
    @ingested_at AS ingested_at,
    left_source,
    left_id,
    right_source,
    right_id,
    is_duplicate,
    split
  FROM {{ staging }}
  WHERE reason IS NULL
),

keyed AS (
  SELECT
    line,
    ingested_at,
    is_duplicate,
    split,
    LEAST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS one_deal,
    GREATEST(CONCAT(left_source, '\n', left_id), CONCAT(right_source, '\n', right_id)) AS other_deal
  FROM verdicts
),

compared AS (
  SELECT
    line,
    is_duplicate,
    split,
    LAG(is_duplicate) OVER (PARTITION BY one_deal, other_deal ORDER BY line, ingested_at) AS verdict_before,
    LAST_VALUE(split IGNORE NULLS) OVER (
      PARTITION BY one_deal, other_deal
      ORDER BY line, ingested_at
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS split_before,
    ROW_NUMBER() OVER (PARTITION BY one_deal, other_deal ORDER BY line, ingested_at) AS place
  FROM keyed
)

SELECT
  staged.{{ columns | join(', staged.') }},
  COALESCE(staged.labelled_at, @ingested_at) AS labelled_at,
  'import' AS origin,
  @import_id AS import_id,
  TIMESTAMP_ADD(@ingested_at, INTERVAL compared.place - 1 MICROSECOND) AS ingested_at
FROM compared
INNER JOIN {{ staging }} AS staged ON compared.line = staged.line
WHERE
  staged.reason IS NULL
  AND (
    compared.is_duplicate IS DISTINCT FROM compared.verdict_before
    OR (compared.split IS NOT NULL AND compared.split IS DISTINCT FROM compared.split_before)
  )
  AND NOT EXISTS (
    SELECT 1 FROM {{ table.labels }}
    WHERE import_id = @import_id
  )
