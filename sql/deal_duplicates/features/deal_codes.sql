{% import 'macros/text.sql' as text %}
/*
  What looks like a maker's own number: a run of letters, digits and dashes in the title that holds a digit and is no
  plain quantity ("DCR-HC52", "mq8n2b/a", "am53bk"), squashed. One row per deal and code.

  Reads clean_deals. Read by pair_codes.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_codes }}
CLUSTER BY deal_key AS
SELECT DISTINCT
  deal_key,
  REGEXP_REPLACE(chunk, r'[^\p{L}\p{N}]+', '') AS code
FROM {{ run_table.clean_deals }}, UNNEST(SPLIT(plain_title, ' ')) AS chunk
WHERE
  {{ text.has_digit('chunk') }}
  AND LENGTH(REGEXP_REPLACE(chunk, r'[^\p{L}\p{N}]+', '')) BETWEEN 4 AND 30
  AND NOT REGEXP_CONTAINS(chunk, r'^[^\p{L}\p{N}]*[0-9.,/x-]*({{ text.units() }})?[^\p{L}\p{N}]*$')
