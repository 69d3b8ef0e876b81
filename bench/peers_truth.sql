/* How the pairs of the file PAIRS compare with the truth of the generated deals, in the file TRUTH. One row. */
WITH deals AS (
  SELECT source || '/' || deal_id AS id, max(offer) AS offer
  FROM read_parquet('TRUTH')
  GROUP BY ALL
),

alike AS (
  SELECT one.id AS one_id, two.id AS two_id
  FROM deals AS one
  INNER JOIN deals AS two ON one.offer = two.offer AND one.id < two.id
),

judged AS (
  SELECT pair.probability, pair.called, alike.one_id IS NOT NULL AS is_right
  FROM read_parquet('PAIRS') AS pair
  LEFT JOIN alike ON least(pair.one_id, pair.two_id) = alike.one_id AND greatest(pair.one_id, pair.two_id) = alike.two_id
),

cuts AS (
  SELECT
    count_if(is_right) OVER (ORDER BY probability DESC) AS hits,
    count(*) OVER (ORDER BY probability DESC) AS called
  FROM judged
)

SELECT
  (SELECT count(*) FROM deals) AS deals,
  (SELECT count(*) FROM judged) AS pairs,
  (SELECT count_if(is_right) FROM judged) / (SELECT count(*) FROM alike) AS completeness,
  2 * (SELECT count_if(called AND is_right) FROM judged)
  / ((SELECT count_if(called) FROM judged) + (SELECT count(*) FROM alike)) AS f1,
  (SELECT max(2 * hits / (called + (SELECT count(*) FROM alike))) FROM cuts) AS best_f1
