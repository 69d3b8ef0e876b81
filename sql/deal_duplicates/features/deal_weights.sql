/*
  The tokens of each deal with their weight. One row per deal, field and token.

  `idf` is 1 for a token that one deal holds and falls towards 0 for one that all hold; as a share of its highest
  value it means the same whatever the number of deals.

  Reads deal_tokens, token_stats (frozen). Read by deal_norms, deal_blocks, pair_words.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_weights }}
CLUSTER BY deal_key AS
WITH corpus AS (
  SELECT deals
  FROM {{ run_table.token_stats }}
  WHERE field = ''
)

SELECT
  held.deal_key,
  held.field,
  held.token,
  held.in_title,
  held.is_number,
  COALESCE(seen.deals, 1) AS deals,
  LN(1 + corpus.deals / COALESCE(seen.deals, 1)) / LN(1 + corpus.deals) AS idf
FROM {{ run_table.deal_tokens }} AS held
CROSS JOIN corpus
LEFT JOIN {{ run_table.token_stats }} AS seen
  ON held.field = seen.field AND held.token = seen.token
