/*
  By what each deal can be looked up. One row per deal and key.

  Two rare tokens together are the work-horse: a brand, a line or a size alone is common, two of them are not, in
  whatever order a source writes them. A rare token alone catches new model numbers; rare grams catch misspellings.

  Reads deal_weights. Read by key_stats, deal_blocks.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_keys }}
CLUSTER BY deal_key AS
WITH tokens AS (
  SELECT
    deal_key,
    token,
    MAX(deals) AS deals,
    MIN(idf) AS idf
  FROM {{ run_table.deal_weights }}
  WHERE ((field = 'word' AND in_title) OR field = 'sign') AND LENGTH(token) > 1
  GROUP BY deal_key, token
),

rarest AS (
  SELECT *
  FROM tokens
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY deal_key, deals > 1 ORDER BY deals, token) <= @tokens_per_deal
),

rarest_grams AS (
  SELECT
    deal_key,
    token,
    idf
  FROM {{ run_table.deal_weights }}
  WHERE field = 'gram' AND deals BETWEEN 2 AND @block_size
  QUALIFY ROW_NUMBER() OVER (PARTITION BY deal_key ORDER BY deals, token) <= @grams_per_deal
)

SELECT
  deal_key,
  token AS key,
  idf AS weight
FROM rarest
WHERE deals <= @block_size
UNION ALL
SELECT
  one.deal_key,
  CONCAT(one.token, ' + ', two.token) AS key,
  (one.idf + two.idf) / 2 AS weight
FROM rarest AS one
INNER JOIN rarest AS two
  ON one.deal_key = two.deal_key AND one.token < two.token
WHERE one.deals > 1 AND two.deals > 1
UNION ALL
SELECT
  deal_key,
  CONCAT('...', token) AS key,
  0.5 * idf AS weight
FROM rarest_grams
