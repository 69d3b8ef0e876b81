{% import 'macros/days.sql' as days %}
/*
  Which words the two deals of a pair share and which only one has, summed by weight. One row per pair.

  Rows of the joins grow with pairs times words of a deal, which blocking and the length limit of clean_deals hold
  constant.

  Reads compared_pairs, deal_weights. Read by pair_signals.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_words }} AS
WITH words AS (
  SELECT *
  FROM {{ days.united(run_table.deal_weights, earlier | default(none)) }}
  WHERE field = 'word' {{ days.of_pairs(run_table.compared_pairs, earlier | default(none)) }}
),

from_left AS (
  SELECT
    pair.left_key,
    pair.right_key,
    SUM(IF(mine.in_title AND other.in_title, mine.idf * mine.idf, 0)) AS title_dot,
    SUM(IF(mine.in_title AND other.in_title, mine.idf, 0)) AS title_shared,
    COUNTIF(mine.in_title AND other.in_title) AS words_shared,
    SUM(IF(other.in_title IS NOT NULL, mine.idf * mine.idf, 0)) AS text_dot,
    SUM(IF(other.in_title IS NOT NULL, mine.idf, 0)) AS text_shared,
    SUM(IF(mine.in_title AND other.in_title IS NOT NULL, mine.idf, 0)) AS left_title_found,
    SUM(IF(other.in_title, mine.idf, 0)) AS right_title_found,
    MAX(IF(mine.in_title AND other.in_title, mine.idf, 0)) AS rarest_shared,
    MAX(IF(other.in_title IS NOT NULL, mine.idf, 0)) AS rarest_shared_anywhere,
    MAX(IF(mine.in_title AND other.in_title IS NULL, mine.idf, 0)) AS rarest_left_only,
    COUNTIF(mine.in_title AND mine.is_number AND other.in_title) AS numbers_shared,
    SUM(IF(mine.in_title AND mine.is_number AND other.in_title, mine.idf, 0)) AS number_weight_shared,
    COUNTIF(mine.in_title AND mine.is_number AND other.in_title IS NULL) AS numbers_left_only,
    SUM(IF(mine.in_title AND mine.is_number AND other.in_title IS NULL, mine.idf, 0)) AS number_weight_left_only
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN words AS mine
    ON pair.left_key = mine.deal_key
  LEFT JOIN words AS other
    ON pair.right_key = other.deal_key AND mine.token = other.token
  GROUP BY pair.left_key, pair.right_key
),

from_right AS (
  SELECT
    pair.left_key,
    pair.right_key,
    MAX(mine.idf) AS rarest_right_only,
    COUNTIF(mine.is_number) AS numbers_right_only,
    SUM(IF(mine.is_number, mine.idf, 0)) AS number_weight_right_only
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN words AS mine
    ON pair.right_key = mine.deal_key AND mine.in_title
  LEFT JOIN words AS other
    ON pair.left_key = other.deal_key AND mine.token = other.token
  WHERE other.deal_key IS NULL
  GROUP BY pair.left_key, pair.right_key
)

SELECT
  from_left.*,
  COALESCE(from_right.rarest_right_only, 0) AS rarest_right_only,
  COALESCE(from_right.numbers_right_only, 0) AS numbers_right_only,
  COALESCE(from_right.number_weight_right_only, 0) AS number_weight_right_only
FROM from_left
LEFT JOIN from_right
  ON from_left.left_key = from_right.left_key AND from_left.right_key = from_right.right_key
