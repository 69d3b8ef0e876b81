{% import 'macros/keys.sql' as row_keys %}
/*
  Lands one import's rows in the model's table of raw rows: a row for each version that differs from the one before it.

  The version before is the latest one as of @ingested_at, or the line before about the same row in the same file.
  Versions of one instant are put a microsecond apart. An import that has landed already adds nothing, so this may run
  again after any interruption.

  `staging` holds the file's rows, `columns` lists the fields, read from the table itself, `keys` those that name a row.
  Parameters: @import_id, @ingested_at.
*/
INSERT INTO {{ target }} (
  {{ columns | join(', ') }},
  content_hash,
  import_id,
  ingested_at
)
WITH known AS (
  SELECT
    {{ keys | join(', ') }},
    ingested_at AS known_at,
    content_hash AS known_hash
  FROM {{ target }}
  WHERE ingested_at < TIMESTAMP_ADD(@ingested_at, INTERVAL 1 SECOND)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {{ keys | join(', ') }} ORDER BY ingested_at DESC) = 1
),

staged AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY {{ keys | join(', ') }} ORDER BY line) AS place,
    LAG(content_hash) OVER (PARTITION BY {{ keys | join(', ') }} ORDER BY line) AS hash_before
  FROM {{ staging }}
  WHERE reason IS NULL
)

SELECT
  staged.{{ columns | join(', staged.') }},
  staged.content_hash,
  @import_id AS import_id,
  TIMESTAMP_ADD(
    GREATEST(@ingested_at, COALESCE(TIMESTAMP_ADD(known.known_at, INTERVAL 1 MICROSECOND), @ingested_at)),
    INTERVAL staged.place - 1 MICROSECOND
  ) AS ingested_at
FROM staged
LEFT JOIN known
  ON {{ row_keys.equal(keys, 'staged', 'known') }}
WHERE
  staged.content_hash IS DISTINCT FROM IF(staged.place = 1, known.known_hash, staged.hash_before)
  AND NOT EXISTS (
    SELECT 1 FROM {{ target }}
    WHERE import_id = @import_id
  )
