{% import 'macros/registry.sql' as registry %}
/*
  Logistic regression: the candidate for few rows; its weights can be read (ML.WEIGHTS).
*/
CREATE MODEL {{ candidate.model }}
OPTIONS (
  model_type = 'LOGISTIC_REG',
  input_label_cols = ['{{ policy.label }}'],
  data_split_method = 'NO_SPLIT',
  l2_reg = 1,
  max_iterations = 50,
  {{ registry.registry_options(candidate) }}
) AS
SELECT
  {{ policy.label }},
  {{ feature_columns | join(',\n  ') }}
FROM {{ run_table.training_features }}
