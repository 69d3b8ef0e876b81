/*
  The pairs worth a closer look. One row per pair, `left_key` the deal whose source and id sort first.

  Deals meet where they share a blocking key and at most @block_size others came between them. Each deal keeps its best
  by cosine over the shared keys: @candidates_elsewhere of other sources and @candidates_within of its own; a source that is
  alone gets both. Later deals choose among earlier ones and those of their own day, never the other way round: what was
  chosen yesterday stays, and a rebuild of all days gives the same rows as the days one by one.

  Reads deal_blocks, deal_norms, clean_deals. Read by compared_pairs.
*/
CREATE OR REPLACE TABLE {{ run_table.candidate_pairs }} AS
WITH met AS (
  SELECT
    mine.deal_key,
    other.deal_key AS other_key,
    mine.source = other.source AS is_within,
    SUM(mine.idf * mine.idf) AS dot
  FROM {{ run_table.deal_blocks }} AS mine
  INNER JOIN {{ run_table.deal_blocks }} AS other
    ON
      mine.field = other.field
      AND mine.token = other.token
      AND mine.deal_key != other.deal_key
      AND mine.seen_on >= other.seen_on
      AND ABS(mine.place - other.place) <= @block_size
  GROUP BY mine.deal_key, other.deal_key, is_within
),

best AS (
  SELECT
    met.deal_key,
    met.other_key,
    met.is_within
  FROM met
  INNER JOIN {{ run_table.deal_norms }} AS norm
    ON met.other_key = norm.deal_key
  CROSS JOIN (SELECT COUNT(DISTINCT source) AS sources FROM {{ run_table.clean_deals }}) AS corpus
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY met.deal_key, met.is_within
    ORDER BY met.dot / SQRT(norm.title_square + norm.pair_square + norm.gram_square) DESC, met.other_key
  ) <= CASE
    WHEN corpus.sources = 1 THEN @candidates_elsewhere + @candidates_within
    WHEN met.is_within THEN @candidates_within
    ELSE @candidates_elsewhere
  END
)

SELECT DISTINCT
  IF(
    mine.source < other.source OR (mine.source = other.source AND mine.deal_id < other.deal_id),
    mine.deal_key,
    other.deal_key
  )
    AS left_key,
  IF(
    mine.source < other.source OR (mine.source = other.source AND mine.deal_id < other.deal_id),
    other.deal_key,
    mine.deal_key
  )
    AS right_key
FROM best
INNER JOIN {{ run_table.clean_deals }} AS mine
  ON best.deal_key = mine.deal_key
INNER JOIN {{ run_table.clean_deals }} AS other
  ON best.other_key = other.deal_key
