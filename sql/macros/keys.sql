{#
  The columns that name a row, as model.yml lists them.
#}

{# Whether two aliases stand for the same row. #}
{% macro equal(keys, one, other) -%}
  {% for key in keys %}{{ one }}.{{ key }} = {{ other }}.{{ key }}{{ ' AND ' if not loop.last }}{% endfor %}
{%- endmacro %}
