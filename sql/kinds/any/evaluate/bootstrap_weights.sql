/*
How often each block is drawn in each replicate: Poisson(1), by hash, so the same blocks always get the same draws.
One row per replicate and block that is drawn at all.

A hash of 64 bits serves four replicates, 16 bits each; the bounds are the Poisson distribution function times 65,536.
Read by: replicates.
*/
CREATE OR REPLACE TABLE {{ run_table.bootstrap_weights }} AS
WITH hashed AS (
  SELECT
    blocks.block,
    batch,
    FARM_FINGERPRINT(CONCAT(CAST(batch AS STRING), ':', CAST(blocks.block AS STRING))) AS bits
  FROM (SELECT DISTINCT block FROM {{ run_table.bootstrap_counts }}) AS blocks
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, DIV(@bootstrap_replicates - 1, 4))) AS batch
),

drawn AS (
  SELECT
    hashed.block,
    4 * hashed.batch + lane AS replicate,
    (hashed.bits >> (16 * lane)) & 65535 AS draw
  FROM hashed
  CROSS JOIN UNNEST([0, 1, 2, 3]) AS lane
)

SELECT
  replicate,
  block,
  CASE
    WHEN draw < 48219 THEN 1
    WHEN draw < 60273 THEN 2
    WHEN draw < 64292 THEN 3
    WHEN draw < 65296 THEN 4
    WHEN draw < 65497 THEN 5
    WHEN draw < 65531 THEN 6
    ELSE 7
  END AS weight
FROM drawn
WHERE draw >= 24109 AND replicate < @bootstrap_replicates
