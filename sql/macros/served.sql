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

{#
  The features of what was answered after `since` until `until`, and two rows more: the least and the greatest of all
  days that are looked at, so that histograms of any of these days have the same edges.
#}
{% macro between(inferences, features_of, since, until) -%}
  SELECT
    {{ features(features_of) }}
  FROM {{ inferences }}
  WHERE
    model = @model
    AND {{ said() }} IS NOT NULL
    AND answered_at > {{ since }}
    AND answered_at <= {{ until }}
  {% for function in ['MIN', 'MAX'] %}
    UNION ALL
    SELECT
      {{ extremes(function, features_of) }}
    FROM {{ inferences }}
    WHERE
      model = @model
      AND {{ said() }} IS NOT NULL
      AND answered_at > TIMESTAMP_SUB(@as_of, INTERVAL 5 * @days DAY)
      AND answered_at <= @as_of
  {% endfor %}
{%- endmacro %}

{#
  CTEs over `answers` (with `is_recent`) and `counted` (with `pairs` and `pairs_before`): `shift.score_shift` is the greatest
  gap between the distribution functions of a column in the recent days and in those before.
#}
{% macro shift(column) -%}
accumulated AS (
  SELECT
    SUM(IF(is_recent, 1, 0)) OVER up_to_here AS recent,
    SUM(IF(is_recent, 0, 1)) OVER up_to_here AS before
  FROM answers
  WHERE {{ column }} IS NOT NULL
  WINDOW up_to_here AS (ORDER BY {{ column }} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),

shift AS (
  SELECT
    MAX(ABS(SAFE_DIVIDE(accumulated.recent, counted.pairs) - SAFE_DIVIDE(accumulated.before, counted.pairs_before)))
      AS score_shift
  FROM accumulated
  CROSS JOIN counted
)
{%- endmacro %}
