{#
  How a pair stands among its rivals: the other pairs of the same deal with deals of the same source. Sources list a thing
  once, as a rule, so the best of several look-alikes is worth more than its likeness alone.
#}

{# The rivals on one side of the pair, best first. #}
{% macro rivals(side, score) -%}
{% if side == 'left' -%}
PARTITION BY left_key, right_source ORDER BY {{ score }} DESC, right_id
{%- else -%}
PARTITION BY right_key, left_source ORDER BY {{ score }} DESC, left_id
{%- endif %}
{%- endmacro %}

{# 1 for the best of the rivals, then 2, 3 ...; ten and more are one. #}
{% macro rank(side, score) -%}
LEAST(10, ROW_NUMBER() OVER ({{ rivals(side, score) }}))
{%- endmacro %}

{# How far ahead of the second (above 0), or behind the first (below 0). #}
{% macro margin(side, score) -%}
{{ score }} - IF(
  ROW_NUMBER() OVER ({{ rivals(side, score) }}) = 1,
  COALESCE(LEAD({{ score }}) OVER ({{ rivals(side, score) }}), 0),
  FIRST_VALUE({{ score }}) OVER ({{ rivals(side, score) }})
)
{%- endmacro %}
