/*
Rows of which nothing is known: the feed that brought them has changed its columns, or is broken.
One row per version of a row.
*/
SELECT
  ${key_list_outer},
  ingested_at
FROM {{ table.${name}_rows }}
WHERE
  ingested_at <= @as_of
  AND ${all_missing}
ORDER BY ingested_at, ${keys}
LIMIT 1000
