{#
  How a pair stands among its rivals: the other pairs of the same deal with deals of the same source, or of the same seller
  within it. A shop lists a thing once, as a rule, so the best of several look-alikes is worth more than its likeness alone.

  Equals rank equal: an order by id would tell the model in which order a shop numbers its deals.
#}

{# The rivals on one side of the pair; `kind` is source or seller. #}
{% macro rivals(side, kind) -%}
  PARTITION BY {{ 'left_key, right_' ~ kind if side == 'left' else 'right_key, left_' ~ kind }}
{%- endmacro %}

{# 1 for the best of the rivals, then 2, 3 ...; ten and more are one. #}
{% macro rank(side, kind, score) -%}
  LEAST(10, RANK() OVER ({{ rivals(side, kind) }} ORDER BY {{ score }} DESC))
{%- endmacro %}

{#
  How far ahead of the second (0 or above), or behind the first (below 0). `best` is the column with the best rival's score.
  Only windows without an order: all scores of a side are then done in one pass.
#}
{% macro margin(side, kind, score, best) -%}
CASE
  WHEN {{ score }} < {{ best }} THEN {{ score }} - {{ best }}
  WHEN SUM(IF({{ score }} = {{ best }}, 1, 0)) OVER ({{ rivals(side, kind) }}) > 1 THEN 0
  ELSE {{ score }} - COALESCE(MAX(IF({{ score }} < {{ best }}, {{ score }}, NULL)) OVER ({{ rivals(side, kind) }}), 0)
END
{%- endmacro %}
