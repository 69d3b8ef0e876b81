{#
  What the service sent to the endpoint, as columns: it is logged as JSON, because versions differ in their features.
#}

{# The features of logged inferences, all as FLOAT64. #}
{% macro features(columns) -%}
  {% for column in columns %}
  CAST(JSON_VALUE(features, '$.{{ column }}') AS FLOAT64) AS {{ column }}{{ ',' if not loop.last }}
  {% endfor %}
{%- endmacro %}
