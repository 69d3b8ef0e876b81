{#
  What the service sent to the endpoint, as columns: it is logged as JSON, because versions differ in their features.
#}

{# The features of logged inferences, each of its own type; `features` are pairs of name and BigQuery type. #}
{% macro features(features) -%}
  {% for name, type in features %}
    {% if type in ('INTEGER', 'INT64') %}
  CAST(SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS FLOAT64) AS INT64) AS {{ name }}{{ ',' if not loop.last }}
  {% else %}
  SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS {{ {'FLOAT': 'FLOAT64', 'BOOLEAN': 'BOOL'}.get(type, type) }}) AS {{ name }}{{ ',' if not loop.last }}
    {% endif %}
  {% endfor %}
{%- endmacro %}

{# What a logged inference says: a probability, or a number. #}
{% macro said() -%}
  COALESCE(probability, prediction)
{%- endmacro %}
