{% import 'macros/context.sql' as context %}
{% set scores = ['likeness', 'rareness', 'found', 'spelling', 'code', 'amount'] %}
{% set sides = ['left', 'right'] %}
{% set kinds = ['source', 'seller'] %}
/*
  How each pair stands among its rivals by each score. One row per pair.

  The better and the worse of its ranks on the two sides, and how far it is ahead of or behind the best rival on either
  side. A shop lists a thing once, as a rule: where a deal has a better candidate, the others are look-alikes.

  Reads pair_scores. Read by pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_context }} AS
WITH bests AS (
  SELECT
    {% for score in scores %}
      {% for side in sides %}
        {% for kind in kinds %}
          MAX({{ score }}) OVER ({{ context.rivals(side, kind) }}) AS {{ side }}_{{ score }}_{{ kind }}_best,
        {% endfor %}
      {% endfor %}
    {% endfor %}
    *
  FROM {{ run_table.pair_scores }}
),

margins AS (
  SELECT
    {% for score in scores %}
      {% for side in sides %}
        {% for kind in kinds %}
          {{ context.margin(side, kind, score, side ~ '_' ~ score ~ '_' ~ kind ~ '_best') }}
            AS {{ side }}_{{ score }}_{{ kind }}_margin,
        {% endfor %}
      {% endfor %}
    {% endfor %}
    {% for score in ['likeness', 'rareness'] %}
      {% for side in sides %}
        {{ context.rank(side, 'source', score) }} AS {{ side }}_{{ score }}_rank,
      {% endfor %}
    {% endfor %}
    left_key,
    right_key
  FROM bests
)

SELECT
  {% for score in ['likeness', 'rareness'] %}
    LEAST(left_{{ score }}_rank, right_{{ score }}_rank) AS {{ score }}_rank_better,
    GREATEST(left_{{ score }}_rank, right_{{ score }}_rank) AS {{ score }}_rank_worse,
  {% endfor %}
  {% for score in scores %}
    {% for kind in kinds %}
      LEAST(left_{{ score }}_{{ kind }}_margin, right_{{ score }}_{{ kind }}_margin)
        AS {{ score }}_{{ kind }}_margin_lesser,
      GREATEST(left_{{ score }}_{{ kind }}_margin, right_{{ score }}_{{ kind }}_margin)
        AS {{ score }}_{{ kind }}_margin_greater,
    {% endfor %}
  {% endfor %}
  left_key,
  right_key
FROM margins
