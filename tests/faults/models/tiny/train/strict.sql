{% import 'macros/registry.sql' as registry %}
/*
  Logistic regression with l2_reg = 10.
*/
CREATE MODEL {{ candidate.model }}
OPTIONS (
  model_type = 'LOGISTIC_REG',
  input_label_cols = ['{{ policy.label }}'],
  data_split_method = 'NO_SPLIT',
  l2_reg = 10,
  max_iterations = 20,
  {{ registry.registry_options(candidate) }}
) AS
SELECT
  {{ policy.label }},
  {% for column in feature_columns %}
  {{ column }},
  {% endfor %}
FROM {{ run_table.training_features }}
ORDER BY point_id
