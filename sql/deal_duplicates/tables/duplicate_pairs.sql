/*
  What the champion thinks of each candidate pair: the sources and ids of its deals, the probability that both are the
  same offer, whether that reaches the threshold which was applied, the BigQuery model that scored it, the run that did,
  and the instant whose data it saw. One row per pair; the pairs of one champion, others when it changes.

  A view that predict/pair_verdicts.sql makes anew with each scoring; here it is without rows, until the first one. Read
  by `bqloop export`.
*/
CREATE VIEW IF NOT EXISTS {{ table.duplicate_pairs }} AS
SELECT
  '' AS left_source,
  '' AS left_id,
  '' AS right_source,
  '' AS right_id,
  0.0 AS probability,
  FALSE AS is_duplicate,
  0.0 AS threshold,
  '' AS champion,
  '' AS run_id,
  TIMESTAMP '1970-01-01 00:00:00+00' AS scored_at
FROM UNNEST([1]) AS nothing
WHERE FALSE
