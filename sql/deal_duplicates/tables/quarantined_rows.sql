/*
  Versions of deals that a check of severity `quarantine` (model.yml) kept out of a run. One row per run, check and
  version. Append-only. The rows themselves stay in raw_deals: the next run judges them anew.

  Written by monitor/quarantine.sql in the stage `check`. Read by features/clean_deals.sql, and by who mends a feed.
*/
CREATE TABLE IF NOT EXISTS {{ table.quarantined_rows }} (
  run_id STRING NOT NULL OPTIONS (description = 'The run that it was kept out of'),
  check_name STRING NOT NULL OPTIONS (description = 'The check, a file in checks/'),
  source STRING NOT NULL OPTIONS (description = 'Source of the deal'),
  deal_id STRING NOT NULL OPTIONS (description = 'deal_id of the deal'),
  ingested_at TIMESTAMP NOT NULL OPTIONS (description = 'Which version of it'),
  quarantined_at TIMESTAMP NOT NULL OPTIONS (description = 'When the check found it')
)
PARTITION BY DATE(quarantined_at)
CLUSTER BY run_id
OPTIONS (description = 'Versions of deals that checks kept out of a run')
