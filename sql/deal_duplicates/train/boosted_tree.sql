{% import 'macros/registry.sql' as registry %}
/*
  Boosted trees: the candidate for some hundred labels and more.

  Many small steps on part of the rows and columns each; the defaults (20 rounds at 0.3) are some points of F1 behind.
  early_stop is off because its test on training loss ends such small steps far too soon.
*/
CREATE MODEL {{ candidate.model }}
OPTIONS (
  model_type = 'BOOSTED_TREE_CLASSIFIER',
  input_label_cols = ['{{ policy.label }}'],
  data_split_method = 'NO_SPLIT',
  max_iterations = 400,
  learn_rate = 0.05,
  max_tree_depth = 8,
  min_tree_child_weight = 3,
  subsample = 0.8,
  colsample_bytree = 0.5,
  early_stop = FALSE,
  {{ registry.registry_options(candidate) }}
) AS
SELECT
  {{ policy.label }},
  {{ feature_columns | join(',\n  ') }}
FROM {{ run_table.training_features }}
