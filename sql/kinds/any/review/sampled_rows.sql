/*
Rows of a table, the same ones of two tables that hold the same keys: those whose keys have the least hashes. Variables:
`sampled.table` and `sampled.key_columns`. Parameter: @rows, how many at most. Read by: `bqloop sql diff --rows`.
*/
SELECT *
FROM {{ sampled.table }}
ORDER BY FARM_FINGERPRINT(CONCAT('', CAST({{ sampled.key_columns | join(" AS STRING), ' ', CAST(") }} AS STRING))) ASC
LIMIT @rows
