/*
  The deals as they came, one row per version of a deal. Append-only.

  A deal is known by (source, deal_id). Seen again with other content it is a new version: the one with the latest
  `ingested_at` counts, the earlier ones stay. Within one import the versions of a deal are a microsecond apart, so that
  `ingested_at` alone puts them in order. Everything but source, deal_id, title and ingested_at may be missing.

  Written by import/insert_deals.sql, which lists no column by hand: a column added here can be imported at once.
  Read by features/clean_deals.sql.
*/
CREATE TABLE IF NOT EXISTS {{ table.raw_deals }} (
  deal_id STRING NOT NULL OPTIONS (description = 'Unique within its source'),
  source STRING NOT NULL OPTIONS (description = 'Who told us: a shop, a feed, a community'),
  title STRING NOT NULL OPTIONS (description = 'As posted'),
  description STRING OPTIONS (description = 'As posted, plain text'),
  brand STRING OPTIONS (description = 'Maker of the product, where the source says so'),
  model_number STRING OPTIONS (description = 'Number that the maker gave it, where the source says so'),
  category STRING OPTIONS (description = 'In the words of the source'),
  merchant STRING OPTIONS (description = 'Who sells'),
  url STRING OPTIONS (description = 'Where the deal is'),
  price NUMERIC OPTIONS (description = 'What the buyer pays, in `currency`; never negative'),
  list_price NUMERIC OPTIONS (description = 'What it is said to have cost before, in `currency`; never negative'),
  currency STRING OPTIONS (description = 'ISO 4217, upper case'),
  starts_at TIMESTAMP OPTIONS (description = 'When the deal begins'),
  ends_at TIMESTAMP OPTIONS (description = 'When the deal ends'),
  attributes JSON OPTIONS (description = 'Whatever else came, an object keyed by the name it came under'),
  ingested_at TIMESTAMP NOT NULL OPTIONS (description = 'When bqloop learned of this version'),
  import_id STRING OPTIONS (description = 'The import that brought it; see rejected_rows for what that import refused'),
  content_hash INT64 OPTIONS (description = 'Hash of the content; equal for a deal that comes again unchanged')
)
PARTITION BY DATE(ingested_at)
CLUSTER BY source, deal_id
OPTIONS (description = 'Deals as they came: one row per version; the latest ingested_at counts')
