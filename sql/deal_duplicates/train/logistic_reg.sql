{% import 'macros/registry.sql' as registry %}
/*
  Logistic regression: the candidate for few labels. Up to about 300 of them it is ahead of trees, and its weights can
  be read (ML.WEIGHTS).

  All rows train: the validation split is held out by the loop, a second one inside would only waste labels.
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
