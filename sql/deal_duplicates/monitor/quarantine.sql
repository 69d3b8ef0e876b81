/*
Keeps what a check found out of the run. The check has to give source, deal_id and ingested_at, of all rows: no LIMIT.
`check_query` stands for the check's own statement. Parameters: @check_name. Run by: the stage `check`,
for checks of severity `quarantine`.
*/
INSERT INTO {{ table.quarantined_rows }} (run_id, check_name, source, deal_id, ingested_at, quarantined_at)
SELECT DISTINCT
  @run_id,
  @check_name,
  source,
  deal_id,
  ingested_at,
  CURRENT_TIMESTAMP()
FROM (
  {{ check_query }}
)
