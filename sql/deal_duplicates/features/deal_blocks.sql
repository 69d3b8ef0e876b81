/*
  The index by which deals find each other: the rarest tokens of each deal. One row per deal and blocking key.

  Three families of keys catch different things: words the model number, pairs of words the name, grams a misspelling or
  a word written apart. A token that more than @block_size deals hold tells too little to be looked up. `place` puts the
  deals of a block in the order of their coming, so that a block stays cheap however large it grows.

  Reads clean_deals, deal_weights. Read by candidate_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.deal_blocks }}
CLUSTER BY field, token AS
WITH rarest AS (
  SELECT
    deal_key,
    field,
    token,
    idf
  FROM {{ run_table.deal_weights }}
  WHERE deals <= @block_size AND (in_title OR is_number)
  QUALIFY ROW_NUMBER() OVER (PARTITION BY deal_key, field ORDER BY idf DESC, token ASC) <= @keys_per_field
)

SELECT
  rarest.deal_key,
  deal.source,
  deal.seen_on,
  rarest.field,
  rarest.token,
  rarest.idf,
  ROW_NUMBER() OVER (PARTITION BY rarest.field, rarest.token ORDER BY deal.seen_on, rarest.deal_key) AS place
FROM rarest
INNER JOIN {{ run_table.clean_deals }} AS deal
  ON rarest.deal_key = deal.deal_key
