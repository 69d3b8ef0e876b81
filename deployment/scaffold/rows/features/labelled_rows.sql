{% import 'macros/split.sql' as split %}
/*
  The rows whose ${label} is known, with the split and the entity group of each. One row per row.

  Rows of one entity group are on one side of the split, because they know of each other; the bootstrap draws them
  together.

  Reads ${name}_rows. Read by training_features, validation_set, test_set.
*/
CREATE OR REPLACE TABLE {{ run_table.labelled_rows }} AS
WITH latest AS (
  SELECT
    ${key_list},
    ${label},
    ${group} AS entity_group
  FROM {{ table.${name}_rows }}
  WHERE ingested_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (PARTITION BY ${keys} ORDER BY ingested_at DESC) = 1
)

SELECT
  ${key_list_outer},
  ${label},
  entity_group,
  {{ split.of_group('entity_group') }} AS split
FROM latest
WHERE ${label} IS NOT NULL
