/*
  Lands one import's deals in raw_deals: a row for each version of a deal that differs from the version before it.

  The version before is the latest one as of @ingested_at (of several files taken in at one instant, the one taken in
  last), or the line before about the same deal in the same file. Versions of one instant are put a microsecond apart.
  An import that has landed already adds nothing, so this may run again after any interruption.

  `staging` holds the file's rows, `columns` lists the fields, read from raw_deals itself.
  Parameters: @import_id, @ingested_at, @sources (all sources in the file: they spare reading the others).
*/
INSERT INTO {{ table.raw_deals }} (
  {{ columns | join(', ') }},
  attributes,
  content_hash,
  import_id,
  ingested_at
)
WITH known AS (
  SELECT
    source,
    deal_id,
    ingested_at AS known_at,
    content_hash AS known_hash
  FROM {{ table.raw_deals }}
  WHERE source IN UNNEST(@sources) AND ingested_at < TIMESTAMP_ADD(@ingested_at, INTERVAL 1 SECOND)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, deal_id ORDER BY ingested_at DESC) = 1
),

staged AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY source, deal_id ORDER BY line) AS place,
    LAG(content_hash) OVER (PARTITION BY source, deal_id ORDER BY line) AS hash_before
  FROM {{ staging }}
  WHERE reason IS NULL
)

SELECT
  staged.{{ columns | join(', staged.') }},
  PARSE_JSON(staged.attributes, wide_number_mode => 'round') AS attributes,
  staged.content_hash,
  @import_id AS import_id,
  TIMESTAMP_ADD(
    GREATEST(@ingested_at, COALESCE(TIMESTAMP_ADD(known.known_at, INTERVAL 1 MICROSECOND), @ingested_at)),
    INTERVAL staged.place - 1 MICROSECOND
  ) AS ingested_at
FROM staged
LEFT JOIN known ON staged.source = known.source AND staged.deal_id = known.deal_id
WHERE
  staged.content_hash IS DISTINCT FROM IF(staged.place = 1, known.known_hash, staged.hash_before)
  AND NOT EXISTS (
    SELECT 1 FROM {{ table.raw_deals }}
    WHERE import_id = @import_id
  )
