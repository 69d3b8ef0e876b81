/*
  The size of each deal's bags of tokens, by which overlaps are divided. One row per deal.

  Reads deal_weights. Read by candidate_pairs and pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_norms }}
CLUSTER BY deal_key AS
SELECT
  deal_key,
  COUNTIF(field = 'word') AS words,
  COUNTIF(field = 'word' AND in_title) AS title_words,
  COUNTIF(field = 'word' AND in_title AND is_number) AS numbers,
  SUM(IF(field = 'word' AND in_title, idf, 0)) AS title_sum,
  SUM(IF(field = 'word', idf, 0)) AS text_sum,
  SUM(IF(field = 'word', idf * idf, 0)) AS text_square,
  SUM(IF(field = 'word' AND in_title, idf * idf, 0)) AS title_square,
  SUM(IF(field = 'pair', idf * idf, 0)) AS pair_square,
  SUM(IF(field = 'gram', idf * idf, 0)) AS gram_square
FROM {{ run_table.deal_weights }}
GROUP BY deal_key
