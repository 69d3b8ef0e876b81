{% import 'macros/context.sql' as context %}
{% set scores = {
  'likeness': 'title_cosine + text_cosine + pair_cosine + gram_cosine',
  'rareness': 'rarest_shared_anywhere - rarest_alone_lesser - rarest_alone_greater',
  'found': 'titles_found',
  'spelling': 'title_edit',
  'code': 'longest_code_found * rarest_code_found',
  'amount': 'price_ratio',
} %}
/*
  All features of a pair: its own signals and how it stands among its rivals, by several unlearned scores. One row per
  pair.

  For each score: the better and the worse of its ranks on the two sides, and how far it is ahead of or behind the
  best rival on either side. Sources list a thing once, as a rule: where a deal has a better candidate, the others are
  look-alikes. Unlearned scores mean the same for every model and every run.

  Reads pair_signals. Read by training_features, validation_set, test_set, predict/ and the prediction service.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_features }} AS
WITH scored AS (
  SELECT
    *,
  {% for score, expression in scores.items() %}
    {{ expression }} AS {{ score }}{{ ',' if not loop.last }}
  {% endfor %}
  FROM {{ run_table.pair_signals }}
),

ranked AS (
  SELECT
    *,
    {% for score in scores %}
    {{ context.rank('left', 'source', score) }} AS left_{{ score }}_rank,
    {{ context.rank('right', 'source', score) }} AS right_{{ score }}_rank,
    {% for kind in ['source', 'seller'] %}
    {{ context.margin('left', kind, score) }} AS left_{{ score }}_{{ kind }}_margin,
    {{ context.margin('right', kind, score) }} AS right_{{ score }}_{{ kind }}_margin,
    {% endfor %}
    {% endfor %}
    TRUE AS is_ranked
  FROM scored
)

SELECT
  * EXCEPT (
    {% for score in scores %}
    {% for side in ['left', 'right'] %}
    {{ side }}_{{ score }}_rank, {{ side }}_{{ score }}_source_margin, {{ side }}_{{ score }}_seller_margin,
    {% endfor %}
    {{ score }},
    {% endfor %}
    left_seller, right_seller, is_ranked
  ),
  {% for score in scores %}
  LEAST(left_{{ score }}_rank, right_{{ score }}_rank) AS {{ score }}_rank_better,
  GREATEST(left_{{ score }}_rank, right_{{ score }}_rank) AS {{ score }}_rank_worse,
  {% for kind in ['source', 'seller'] %}
  LEAST(left_{{ score }}_{{ kind }}_margin, right_{{ score }}_{{ kind }}_margin) AS {{ score }}_{{ kind }}_margin_lesser,
  GREATEST(left_{{ score }}_{{ kind }}_margin, right_{{ score }}_{{ kind }}_margin) AS {{ score }}_{{ kind }}_margin_greater
  {{- ',' if not loop.last }}
  {% endfor %}
  {{- ',' if not loop.last }}
  {% endfor %}
FROM ranked
