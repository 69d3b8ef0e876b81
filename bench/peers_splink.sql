/* The deals of the file DEALS as Splink wants them: one row per deal, cleaned, with the values to block on and to compare. */
CREATE MACRO shared_weight(one, two) AS coalesce(list_sum(list_intersect(one, two)), 0);

CREATE MACRO words_alike(one, two, one_weight, two_weight) AS
shared_weight(one, two) / (one_weight + two_weight - shared_weight(one, two) + 1e-9);

CREATE TABLE latest AS
SELECT
  source || '/' || deal_id AS unique_id,
  trim(regexp_replace(regexp_replace(lower(strip_accents(title)), '[^a-z0-9]+', ' ', 'g'), '\b(\d+) (gb|tb|w|inch|ml|kg|cm|l)\b', '\1\2', 'g')) AS title,
  nullif(regexp_replace(lower(model_number), '[^a-z0-9]', '', 'g'), '') AS given_model,
  lower(brand) AS brand,
  lower(merchant) AS merchant,
  round(price * CASE currency
    WHEN 'EUR' THEN 1.1 WHEN 'GBP' THEN 1.28 WHEN 'CHF' THEN 1.12 WHEN 'CAD' THEN 0.73 WHEN 'SEK' THEN 0.095
    WHEN 'PLN' THEN 0.25 ELSE 1
  END::DOUBLE, 2) AS price
FROM read_parquet('DEALS')
QUALIFY row_number() OVER (PARTITION BY source, deal_id ORDER BY ingested_at DESC) = 1;

CREATE TABLE tokens AS
SELECT DISTINCT unique_id, unnest(string_split(title, ' ')) AS token FROM latest;

CREATE TABLE frequencies AS
SELECT
  token,
  count(*) AS deals,
  -- The last digits make each word's weight a number of its own, so that a list of weights is a list of words.
  round(ln((SELECT count(*) FROM latest) / count(*)), 4) + row_number() OVER (ORDER BY token) * 1e-11 AS weight
FROM tokens
GROUP BY token;

CREATE TABLE held AS
SELECT
  unique_id, token, deals, weight,
  row_number() OVER (PARTITION BY unique_id ORDER BY deals, token) AS place
FROM tokens INNER JOIN frequencies USING (token)
WHERE deals > 1 AND length(token) > 1;

CREATE TABLE pairs_of_words AS
SELECT one.unique_id, one.token || ' ' || two.token AS pair
FROM held AS one INNER JOIN held AS two ON one.unique_id = two.unique_id AND one.token < two.token
WHERE one.place <= 8 AND two.place <= 8;

CREATE TABLE rare_pairs AS
SELECT unique_id, list(pair ORDER BY pair) AS rare_pairs
FROM pairs_of_words
WHERE pair IN (SELECT pair FROM pairs_of_words GROUP BY pair HAVING count(*) BETWEEN 2 AND 60)
GROUP BY unique_id;

CREATE TABLE words AS
SELECT
  unique_id,
  list(weight ORDER BY token) AS words,
  sum(weight) AS words_weight,
  list(token ORDER BY token) FILTER (deals BETWEEN 2 AND 60) AS rare_words,
  list(token ORDER BY token) FILTER (regexp_matches(token, '^\d+[a-z]{0,4}$')) AS sizes,
  max(token) FILTER (regexp_matches(token, '^[a-z]{1,4}\d{2,}[a-z]?$')) AS title_model
FROM tokens INNER JOIN frequencies USING (token)
GROUP BY unique_id;

CREATE TABLE deals AS
SELECT
  latest.unique_id,
  coalesce(given_model, title_model) AS model,
  latest.brand,
  latest.merchant,
  latest.price,
  words.words,
  words.words_weight,
  words.rare_words,
  words.sizes,
  rare_pairs.rare_pairs
FROM latest
INNER JOIN words USING (unique_id)
LEFT JOIN rare_pairs USING (unique_id);
