/*
  All pairs that features are computed for. One row per pair.

  Scoring has all candidates. Training has the labelled pairs, found by blocking or not, a sample of the candidates, and
  of the other candidates those that share a deal with one of these: its rivals, so that a labelled pair sees the same
  rivals as a new one.

  Reads candidate_pairs, labelled_pairs, sampled_pairs. Read by pair_words, pair_sequences, pair_codes, pair_signals.
*/
CREATE OR REPLACE TABLE {{ run_table.compared_pairs }} AS
{% if earlier is defined %}
  SELECT
    left_key,
    right_key
  FROM {{ run_table.candidate_pairs }}
{% else %}
  WITH wanted AS (
    SELECT
      left_key,
      right_key
    FROM {{ run_table.labelled_pairs }}
    UNION ALL
    SELECT
      left_key,
      right_key
    FROM {{ run_table.sampled_pairs }}
  ),

  deals AS (
    SELECT left_key AS deal_key FROM wanted
    UNION DISTINCT
    SELECT right_key AS deal_key FROM wanted
  )

  SELECT
    left_key,
    right_key
  FROM wanted
  {% for side in ['left_key', 'right_key'] %}
    UNION DISTINCT
    SELECT
      rival.left_key,
      rival.right_key
    FROM {{ run_table.candidate_pairs }} AS rival
    INNER JOIN deals
      ON rival.{{ side }} = deals.deal_key
  {% endfor %}
{% endif %}
