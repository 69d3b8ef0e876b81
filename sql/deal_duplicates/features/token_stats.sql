/*
  How many deals hold a token: the corpus statistics that rarity is measured by. One row per field and token.

  Frozen with the run that trained on them. A token that is not listed, in the corpus or new since, counts as held by
  one deal; the row with an empty field holds the number of all deals.

  Reads deal_tokens. Read by deal_weights and by the prediction service.
*/
CREATE OR REPLACE TABLE {{ run_table.token_stats }}
CLUSTER BY field, token AS
SELECT
  field,
  token,
  COUNT(*) AS deals
FROM {{ run_table.deal_tokens }}
GROUP BY field, token
HAVING COUNT(*) > 1
UNION ALL
SELECT
  '' AS field,
  '' AS token,
  COUNT(*) AS deals
FROM {{ run_table.clean_deals }}
