{#
  The metrics in which candidates are compared with the champion, by kind: those that the bootstrap can compute again from
  sums. Each is a column of `metrics`, and one of `replicates`' values.
#}
{% set compared = {
  'classification': [
    'precision', 'recall', 'f1_score', 'accuracy', 'cost', 'log_loss', 'average_precision', 'roc_auc'
  ],
  'regression': [
    'mean_absolute_error', 'mean_squared_error', 'root_mean_squared_error', 'r2_score', 'explained_variance'
  ]
} %}

{# CTE `parts`: which value of which slice each validation row belongs to. #}
{% macro parts(policy, validation_set) -%}
parts AS (
  {% for slice, expression in policy.slices.items() %}
  SELECT
    {{ policy.keys | join(', ') }},
    '{{ slice }}' AS slice,
    CAST({{ expression }} AS STRING) AS value
  FROM {{ validation_set }}
  {{ 'UNION ALL' if not loop.last }}
  {% else %}
  SELECT
    {{ policy.keys | join(', ') }},
    'all' AS slice,
    CAST(NULL AS STRING) AS value
  FROM {{ validation_set }}
  {% endfor %}
)
{%- endmacro %}

{# Whether a row of `outcomes` or `predictions` is the validation row of that part. #}
{% macro in_part(policy, rows) -%}
  {{ rows }}.split = 'validation'
{% for key in policy.keys %}
      AND {{ rows }}.{{ key }} = parts.{{ key }}
  {% endfor %}
{%- endmacro %}

{# One hash of the rows and labels that were judged. #}
{% macro rows_fingerprint(policy, truth) -%}
BIT_XOR(FARM_FINGERPRINT(CONCAT(
      {% for key in policy.keys %}
        CAST({{ key }} AS STRING), '\n',
      {% endfor %}
      CAST({{ truth }} AS STRING)
    )))
{%- endmacro %}

{# The block that the bootstrap draws a row's entity group with; `groups` is the number of all groups. #}
{% macro block(group, groups) -%}
CASE
      WHEN {{ groups }} <= @bootstrap_blocks THEN FARM_FINGERPRINT(CAST({{ group }} AS STRING))
      ELSE ABS(MOD(FARM_FINGERPRINT(CAST({{ group }} AS STRING)), @bootstrap_blocks))
    END
{%- endmacro %}
