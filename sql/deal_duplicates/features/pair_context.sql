{% import 'macros/days.sql' as days %}
{% import 'macros/rivals.sql' as rivals %}
{% set kinds = ['source', 'seller'] %}
/*
  How each pair stands among its rivals by each score. One row per pair.

  Rivals are the other pairs of the same deal with deals of the same source, or of the same seller within it. A shop
  lists a thing once, as a rule: where a deal has a better candidate, the others are look-alikes. Of each of the two
  deals it is told how far the pair is ahead of the best rival (0 or above) or behind it (below 0), and which place it
  has; the better and the worse of the two are the features. Equals rank equal: an order by id would tell the model in
  which order a shop numbers its deals.

  Only rivals that could be compared no later than the pair itself count. What comes tomorrow changes nothing about
  today's pairs: no pair is computed twice, and training sees each pair as scoring saw it.

  Reads pair_scores, pair_sides. Read by pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_context }} AS
WITH standing AS (
  SELECT
    {% for score in rivals.ranked %}
      LEAST(10, 1 + COUNTIF(rival.{{ score }} > asked.{{ score }})) AS {{ score }}_rank,
    {% endfor %}
    {% for score in rivals.scores %}
      MAX(asked.{{ score }}) - COALESCE(MAX(rival.{{ score }}), 0) AS {{ score }}_source_margin,
      MAX(asked.{{ score }}) - COALESCE(MAX(IF(rival.seller = asked.seller, rival.{{ score }}, NULL)), 0)
        AS {{ score }}_seller_margin,
    {% endfor %}
    asked.mine,
    asked.other
  FROM {{ run_table.pair_sides }} AS asked
  LEFT JOIN {{ days.united(run_table.pair_sides, earlier | default(none)) }} AS rival
    ON
      asked.mine = rival.mine
      AND asked.source = rival.source
      AND asked.other != rival.other
      AND asked.met_on >= rival.met_on
  GROUP BY asked.mine, asked.other
)

SELECT
  {% for score in rivals.ranked %}
    LEAST(one.{{ score }}_rank, two.{{ score }}_rank) AS {{ score }}_rank_better,
    GREATEST(one.{{ score }}_rank, two.{{ score }}_rank) AS {{ score }}_rank_worse,
  {% endfor %}
  {% for score in rivals.scores %}
    {% for kind in kinds %}
      LEAST(one.{{ score }}_{{ kind }}_margin, two.{{ score }}_{{ kind }}_margin)
        AS {{ score }}_{{ kind }}_margin_lesser,
      GREATEST(one.{{ score }}_{{ kind }}_margin, two.{{ score }}_{{ kind }}_margin)
        AS {{ score }}_{{ kind }}_margin_greater,
    {% endfor %}
  {% endfor %}
  -- The guess itself: a sum that trees would need many steps for.
  pair.guess,
  pair.left_key,
  pair.right_key
FROM {{ run_table.pair_scores }} AS pair
INNER JOIN standing AS one
  ON pair.left_key = one.mine AND pair.right_key = one.other
INNER JOIN standing AS two
  ON pair.right_key = two.mine AND pair.left_key = two.other
