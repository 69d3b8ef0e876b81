{% import 'macros/similarity.sql' as similarity %}
{% import 'macros/days.sql' as days %}
/*
  How the model numbers of the two deals of a pair agree. One row per pair with a code on either side.

  A code is found where the other side's squashed text holds it, however it is spaced or dashed there.

  Reads compared_pairs, deal_weights, clean_deals. Read by pair_signals.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_codes }} AS
WITH codes AS (
  SELECT
    deal_key,
    token AS code,
    idf
  FROM {{ days.united(run_table.deal_weights, earlier | default(none)) }}
  WHERE field = 'code' {{ days.of_pairs(run_table.compared_pairs, earlier | default(none)) }}
),

sought AS (
  {% for mine, other in [('left_key', 'right_key'), ('right_key', 'left_key')] %}
    SELECT
      pair.left_key,
      pair.right_key,
      '{{ mine }}' AS side,
      codes.idf,
      LENGTH(codes.code) AS size,
      STRPOS(deal.squashed_text, codes.code) > 0 AS is_found
    FROM {{ run_table.compared_pairs }} AS pair
    INNER JOIN codes
      ON pair.{{ mine }} = codes.deal_key
    INNER JOIN {{ days.united(run_table.clean_deals, earlier | default(none)) }} AS deal
      ON pair.{{ other }} = deal.deal_key
    {{ 'UNION ALL' if not loop.last }}
  {% endfor %}
),

counted AS (
  SELECT
    left_key,
    right_key,
    COUNTIF(is_found) AS found,
    COUNTIF(side = 'left_key' AND NOT is_found) AS left_missing,
    COUNTIF(side = 'right_key' AND NOT is_found) AS right_missing,
    MAX(IF(is_found, size, 0)) AS longest_found,
    MAX(IF(is_found, 0, size)) AS longest_missing,
    MAX(IF(is_found, idf, 0)) AS rarest_found,
    MAX(IF(side = 'left_key' AND NOT is_found, idf, 0)) AS rarest_left_missing,
    MAX(IF(side = 'right_key' AND NOT is_found, idf, 0)) AS rarest_right_missing
  FROM sought
  GROUP BY left_key, right_key
),

nearest AS (
  SELECT
    pair.left_key,
    pair.right_key,
    MAX({{ similarity.edit('mine.code', 'other.code', 30) }}) AS likeness
  FROM {{ run_table.compared_pairs }} AS pair
  INNER JOIN codes AS mine
    ON pair.left_key = mine.deal_key
  INNER JOIN codes AS other
    ON pair.right_key = other.deal_key
  GROUP BY pair.left_key, pair.right_key
)

SELECT
  counted.*,
  COALESCE(nearest.likeness, 0.5) AS likeness
FROM counted
LEFT JOIN nearest
  ON counted.left_key = nearest.left_key AND counted.right_key = nearest.right_key
