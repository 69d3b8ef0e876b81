/*
  How many asked since the challenger got its share; nobody asks a tiny model, and nothing is wrong with that. One row.
  Parameters: @since, @until, @version, @champion, @candidate are those of the real one.
*/
SELECT
  COUNT(DISTINCT request_id) AS requests,
  0 AS failed_requests,
  0 AS challenger_pairs
FROM {{ table.inferences }}
WHERE model = @model AND answered_at > @since AND answered_at <= @until
