{#
  What a model says and what is true, by the kind of label: a classification gives the probability of `positive`, a
  regression the number itself.
#}

{# The column that holds what a model says. #}
{% macro said(policy) -%}
  {{ 'prediction' if policy.task == 'regression' else 'probability' }}
{%- endmacro %}

{# What ML.PREDICT says of a row. #}
{% macro of_row(policy) -%}
  {% if policy.task == 'regression' -%}
CAST(predicted_{{ policy.label }} AS FLOAT64)
{%- else -%}
(
  SELECT answer.prob FROM UNNEST(predicted_{{ policy.label }}_probs) AS answer
  WHERE LOWER(CAST(answer.label AS STRING)) = LOWER('{{ policy.positive }}')
)
  {%- endif %}
{%- endmacro %}

{# The column that holds what is true. #}
{% macro truth(policy) -%}
  {{ 'actual' if policy.task == 'regression' else 'is_positive' }}
{%- endmacro %}

{# What is true of a row, by its label. #}
{% macro of_label(policy) -%}
  {% if policy.task == 'regression' -%}
CAST({{ policy.label }} AS FLOAT64)
{%- else -%}
    LOWER(CAST({{ policy.label }} AS STRING)) = LOWER('{{ policy.positive }}')
  {%- endif %}
{%- endmacro %}
