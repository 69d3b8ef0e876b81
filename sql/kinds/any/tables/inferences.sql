/*
  The inferences, each once: what a second delivery or a second try of the service wrote again is left out. One row per
  `inference_id`.

  Reads inference_log. Read by monitor/ and the review queue.
*/
CREATE OR REPLACE VIEW {{ table.inferences }} AS
SELECT *
FROM {{ table.inference_log }}
QUALIFY ROW_NUMBER() OVER (PARTITION BY inference_id ORDER BY answered_at) = 1
