{#
  What the service sent to the endpoint, as columns: it is logged as JSON, because versions differ in their features.
#}

{# A feature of a logged inference, of its own type. #}
{% macro value(name, type) -%}
  {% if type in ('INTEGER', 'INT64') %}
    CAST(SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS FLOAT64) AS INT64)
  {% else %}
    SAFE_CAST(JSON_VALUE(features, '$.{{ name }}') AS {{ {'FLOAT': 'FLOAT64', 'BOOLEAN': 'BOOL'}.get(type, type) }})
  {% endif %}
{%- endmacro %}

{# The features of logged inferences, each of its own type; `features` are pairs of name and BigQuery type. #}
{% macro features(features) -%}
  {% for name, type in features %}
    {{ value(name, type) }} AS {{ name }}{{ ',' if not loop.last }}
  {% endfor %}
{%- endmacro %}

{# The least or the greatest of each feature, as a row like those of the features. #}
{% macro extremes(function, features) -%}
  {% for name, type in features %}
    {{ function }}({{ value(name, type) }}) AS {{ name }}{{ ',' if not loop.last }}
  {% endfor %}
{%- endmacro %}

{# What a logged inference says: a probability, or a number. #}
{% macro said() -%}
  COALESCE(probability, prediction)
{%- endmacro %}
