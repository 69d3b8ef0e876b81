{% import 'macros/text.sql' as text %}
/*
  What each deal is made of. One row per deal, field and token; five fields:
    word   words of title, brand, model number and description; `in_title` says where from
    pair   two words that follow one another in the title
    gram   three characters that follow one another in the title
    code   what looks like a maker's own number: letters, digits and dashes with a digit among them that are no plain
           quantity ("DCR-HC52", "mq8n2b", "010-10723-03"), squashed
    sign   what a deal is looked up by but not compared by: brand, merchant, and model codes of all text cut after their
           last digit in a row, since shops add colour letters ("HI-235L", "HI 235")
  Each token counts once a deal: offers repeat words for search engines, not for meaning.

  Reads clean_deals. Read by token_stats, deal_weights and, through them, by blocking and the pair features.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_tokens }}
CLUSTER BY deal_key AS
WITH title_words AS (
  SELECT
    deal_key,
    word,
    LEAD(word) OVER (PARTITION BY deal_key ORDER BY place) AS next_word
  FROM {{ run_table.clean_deals }}, UNNEST(SPLIT(title, ' ')) AS word WITH OFFSET AS place
),

words AS (
  SELECT
    deal_key,
    word,
    TRUE AS in_title
  FROM title_words
  UNION ALL
  SELECT
    deal_key,
    word,
    FALSE AS in_title
  FROM {{ run_table.clean_deals }},
    UNNEST(SPLIT(CONCAT(COALESCE(brand, ''), ' ', COALESCE(model_number, ''), ' ', description), ' ')) AS word
)

SELECT
  deal_key,
  'word' AS field,
  word AS token,
  LOGICAL_OR(in_title) AS in_title,
  {{ text.has_digit('word') }} AS is_number
FROM words
WHERE word != ''
GROUP BY deal_key, word
UNION ALL
SELECT DISTINCT
  deal_key,
  'pair' AS field,
  CONCAT(word, ' ', next_word) AS token,
  TRUE AS in_title,
  FALSE AS is_number
FROM title_words
WHERE next_word IS NOT NULL
UNION ALL
SELECT DISTINCT
  deal_key,
  'gram' AS field,
  SUBSTR(title, place, 3) AS token,
  TRUE AS in_title,
  FALSE AS is_number
FROM {{ run_table.clean_deals }}, UNNEST(GENERATE_ARRAY(1, LENGTH(title) - 2)) AS place
UNION ALL
SELECT DISTINCT
  deal_key,
  'code' AS field,
  REGEXP_REPLACE(run, r'[._-]+', '') AS token,
  TRUE AS in_title,
  FALSE AS is_number
FROM {{ run_table.clean_deals }}, UNNEST(REGEXP_EXTRACT_ALL(plain_title, r'[\p{L}\p{N}][\p{L}\p{N}._-]*')) AS run
WHERE
  LENGTH(REGEXP_REPLACE(run, r'[._-]+', '')) BETWEEN 4 AND 30
  AND {{ text.has_digit('run') }}
  AND (
    NOT REGEXP_CONTAINS(run, r'^[0-9._x-]*({{ text.units() }})?[._-]*$')
    OR REGEXP_CONTAINS(run, r'^([._-]*[0-9]){6,}[._-]*$')
  )
UNION ALL
SELECT DISTINCT
  deal_key,
  'sign' AS field,
  sign AS token,
  FALSE AS in_title,
  FALSE AS is_number
FROM {{ run_table.clean_deals }},
  UNNEST(ARRAY_CONCAT(
    [COALESCE(CONCAT('@', merchant), ''), REPLACE(COALESCE(brand, ''), ' ', '')],
    REGEXP_EXTRACT_ALL(
      REGEXP_REPLACE(
        CONCAT(title, ' ', COALESCE(model_number, ''), ' ', SUBSTR(description, 1, 160)),
        r'\b([a-z]{1,4}) ([0-9])', r'\1\2'
      ),
      r'\b(?:[a-z]{1,6}[0-9]{2,}|[0-9]{5,})'
    )
  )) AS sign
WHERE sign != ''
