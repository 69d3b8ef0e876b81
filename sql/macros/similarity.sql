{#
  How alike two things are, from 0 (nothing in common) to 1 (equal). A side that is missing gives `missing`, by default
  a neutral 0.5: no feature is ever NULL, so that every model type treats missing fields alike.
#}

{# Edit distance as a share of the longer text. The first 80 characters decide: the cost grows with their product. #}
{% macro edit(a, b, longest=80) -%}
COALESCE(1 - SAFE_DIVIDE(
  EDIT_DISTANCE(SUBSTR({{ a }}, 1, {{ longest }}), SUBSTR({{ b }}, 1, {{ longest }})),
  NULLIF(GREATEST(LENGTH(SUBSTR({{ a }}, 1, {{ longest }})), LENGTH(SUBSTR({{ b }}, 1, {{ longest }}))), 0)
), 0.5)
{%- endmacro %}

{# Whether both are equal: 1, 0, or 0.5 where one is missing. #}
{% macro same(a, b) -%}
  COALESCE(CAST({{ a }} = {{ b }} AS INT64), 0.5)
{%- endmacro %}

{# The smaller of two amounts as a share of the larger. #}
{% macro ratio(a, b) -%}
  COALESCE(SAFE_DIVIDE(LEAST({{ a }}, {{ b }}), GREATEST({{ a }}, {{ b }})), 0.5)
{%- endmacro %}

{# The part of a whole that is shared; 0.5 where the whole is nothing. #}
{% macro share(part, whole) -%}
  COALESCE(SAFE_DIVIDE({{ part }}, {{ whole }}), 0.5)
{%- endmacro %}

{# Cosine of two weighted bags from their inner product and squared lengths. #}
{% macro cosine(dot, left_square, right_square) -%}
  COALESCE(SAFE_DIVIDE({{ dot }}, SQRT({{ left_square }} * {{ right_square }})), 0.5)
{%- endmacro %}

{# What two wholes share of what either has. #}
{% macro jaccard(shared, left, right) -%}
  {{ share(shared, left ~ ' + ' ~ right ~ ' - ' ~ shared) }}
{%- endmacro %}

{# Whether a text holds a word: 1, 0, or 0.5 where either is missing. #}
{% macro found(word, text) -%}
  COALESCE(CAST(STRPOS({{ text }}, {{ word }}) > 0 AS INT64), 0.5)
{%- endmacro %}
