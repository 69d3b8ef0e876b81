/*
  All pairs that features are computed for: the candidates that blocking found and the labelled pairs, found or not,
  so that a labelled pair sees the same rivals as a new one. Scoring has candidates alone. One row per pair.

  Reads candidate_pairs, labelled_pairs. Read by pair_words, pair_codes, pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.compared_pairs }} AS
SELECT
  left_key,
  right_key
FROM {{ run_table.candidate_pairs }}
{% if earlier is not defined %}
  UNION DISTINCT
  SELECT
    left_key,
    right_key
  FROM {{ run_table.labelled_pairs }}
{% endif %}
