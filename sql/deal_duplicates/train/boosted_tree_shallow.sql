{% import 'macros/registry.sql' as registry %}
/*
  Boosted trees, shallower and slower than boosted_tree: smaller steps, fewer of the columns for each tree.

  Ahead where labels are some thousands and titles are short; boosted_tree is where there are many more. No class
  weights in either: probabilities stay those of the labels, which thresholds by cost and people who read them rely on,
  and the threshold is chosen on the validation curve anyway.
*/
CREATE MODEL {{ candidate.model }}
OPTIONS (
  model_type = 'BOOSTED_TREE_CLASSIFIER',
  input_label_cols = ['{{ policy.label }}'],
  data_split_method = 'NO_SPLIT',
  max_iterations = 1200,
  learn_rate = 0.02,
  max_tree_depth = 6,
  min_tree_child_weight = 1,
  subsample = 0.8,
  colsample_bytree = 0.2,
  early_stop = FALSE,
  {{ registry.registry_options(candidate) }}
) AS
SELECT
  {{ policy.label }},
  {{ feature_columns | join(',\n  ') }}
FROM {{ run_table.training_features }}
