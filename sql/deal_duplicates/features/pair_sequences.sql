{% import 'macros/days.sql' as days %}
/*
  Which sequences the titles of a pair share: words next to each other, characters next to each other. One row per
  pair.

  A left join, though only what both have counts: it makes every engine go from the pairs to the tokens, never from
  token to token.

  Reads compared_pairs, deal_weights. Read by pair_signals.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_sequences }} AS
WITH sequences AS (
  SELECT
    deal_key,
    field,
    token,
    idf
  FROM {{ days.united(run_table.deal_weights, earlier | default(none)) }}
  WHERE field IN ('pair', 'gram') {{ days.of_pairs(run_table.compared_pairs, earlier | default(none)) }}
)

SELECT
  pair.left_key,
  pair.right_key,
  SUM(IF(mine.field = 'pair', mine.idf * other.idf, 0)) AS pair_dot,
  COUNTIF(mine.field = 'pair' AND other.idf IS NOT NULL) AS pairs_shared,
  SUM(IF(mine.field = 'gram', mine.idf * other.idf, 0)) AS gram_dot
FROM {{ run_table.compared_pairs }} AS pair
INNER JOIN sequences AS mine
  ON pair.left_key = mine.deal_key
LEFT JOIN sequences AS other
  ON pair.right_key = other.deal_key AND mine.field = other.field AND mine.token = other.token
GROUP BY pair.left_key, pair.right_key
