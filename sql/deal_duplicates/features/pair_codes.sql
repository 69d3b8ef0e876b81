{% import 'macros/similarity.sql' as similarity %}
/*
  How the model numbers of the two deals of a pair agree. One row per pair with a code on either side.

  Reads compared_pairs, deal_codes, clean_deals. Read by pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_codes }} AS
WITH found AS (
  SELECT
    pair.left_key,
    pair.right_key,
    LENGTH(mine.code) AS size,
    STRPOS(other.squashed_text, mine.code) > 0 AS is_found,
    TRUE AS is_left
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN {{ run_table.deal_codes }} AS mine
    ON pair.left_key = mine.deal_key
  INNER JOIN {{ run_table.clean_deals }} AS other
    ON pair.right_key = other.deal_key
  UNION ALL
  SELECT
    pair.left_key,
    pair.right_key,
    LENGTH(mine.code) AS size,
    STRPOS(other.squashed_text, mine.code) > 0 AS is_found,
    FALSE AS is_left
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN {{ run_table.deal_codes }} AS mine
    ON pair.right_key = mine.deal_key
  INNER JOIN {{ run_table.clean_deals }} AS other
    ON pair.left_key = other.deal_key
),

nearest AS (
  SELECT
    pair.left_key,
    pair.right_key,
    MAX({{ similarity.edit('mine.code', 'other.code', 30) }}) AS likeness
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN {{ run_table.deal_codes }} AS mine
    ON pair.left_key = mine.deal_key
  INNER JOIN {{ run_table.deal_codes }} AS other
    ON pair.right_key = other.deal_key
  GROUP BY pair.left_key, pair.right_key
),

counted AS (
  SELECT
    left_key,
    right_key,
    COUNTIF(is_left) AS left_codes,
    COUNTIF(NOT is_left) AS right_codes,
    COUNTIF(is_left AND is_found) AS left_found,
    COUNTIF(NOT is_left AND is_found) AS right_found,
    MAX(IF(is_found, size, 0)) AS longest_found,
    MAX(IF(is_found, 0, size)) AS longest_missing
  FROM found
  GROUP BY left_key, right_key
)

SELECT
  counted.*,
  COALESCE(nearest.likeness, 0.5) AS likeness
FROM counted
LEFT JOIN nearest
  ON counted.left_key = nearest.left_key AND counted.right_key = nearest.right_key
