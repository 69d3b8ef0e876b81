{% import 'macros/similarity.sql' as similarity %}
/*
  What can be said about two deals without looking at others: each column one feature. One row per pair.

  A pure function of the deals, the frozen statistics and the pair: the prediction service runs this very file. No
  feature is NULL; what is missing on either side counts as neither alike nor unlike, and is counted by itself.

  Reads compared_pairs, clean_deals, deal_norms, pair_overlap, pair_codes. Read by pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_signals }} AS
SELECT
  pair.left_key,
  pair.right_key,
  l.source AS left_source,
  l.deal_id AS left_id,
  r.source AS right_source,
  r.deal_id AS right_id,

  -- Words, weighted by rarity.
  -- The titles as bags of words: the plainest likeness.
  {{ similarity.cosine('o.title_dot', 'm.title_square', 'n.title_square') }} AS title_cosine,
  -- Words shared of all words used: falls when one title says more, which the cosine forgives.
  {{ similarity.share('o.title_shared', 'm.title_sum + n.title_sum - o.title_shared') }} AS title_jaccard,
  -- The shorter title within the longer one: a terse shop beside a wordy one.
  {{ similarity.share('o.title_shared', 'LEAST(m.title_sum, n.title_sum)') }} AS title_containment,
  -- All text with all text, description and brand included.
  {{ similarity.cosine('o.text_dot', 'm.text_square', 'n.text_square') }} AS text_cosine,
  -- One title in all the other side's text: what one says in the title the other may say in the description.
  {{ similarity.share('o.left_title_found', 'm.title_sum') }} AS left_title_found,
  {{ similarity.share('o.right_title_found', 'n.title_sum') }} AS right_title_found,
  -- Names of two words, in their order: "galaxy tab" is not "tab galaxy".
  {{ similarity.cosine('o.pair_dot', 'm.pair_square', 'n.pair_square') }} AS pair_cosine,
  o.pairs_shared,
  -- Characters: misspellings, words joined or cut, endings.
  {{ similarity.cosine('o.gram_dot', 'm.gram_square', 'n.gram_square') }} AS gram_cosine,
  -- The rarest word that both use, and the rarest that only one does: one rare word tells more than ten common ones.
  o.rarest_shared,
  o.rarest_shared_anywhere,
  o.rarest_left_only,
  o.rarest_right_only,
  LEAST(o.rarest_left_only, o.rarest_right_only) AS rarest_unshared,

  -- Spelling.
  {{ similarity.edit('l.title', 'r.title') }} AS title_edit,
  -- How much longer one title is: accessories and bundles say more.
  {{ similarity.ratio('LENGTH(l.title)', 'LENGTH(r.title)') }} AS title_length_ratio,

  -- Numbers: sizes, versions, quantities. One that only one side has is often another variant.
  o.numbers_shared,
  o.numbers_left_only,
  o.numbers_right_only,
  LEAST(o.numbers_left_only, o.numbers_right_only) AS numbers_in_conflict,

  -- Model codes: the maker's own number, found in the other side's text however it is written there.
  COALESCE(c.left_found, 0) AS left_codes_found,
  COALESCE(c.right_found, 0) AS right_codes_found,
  COALESCE(c.left_codes - c.left_found, 0) AS left_codes_missing,
  COALESCE(c.right_codes - c.right_found, 0) AS right_codes_missing,
  -- A long code found is no accident; a long one missing is another model.
  COALESCE(c.longest_found, 0) AS longest_code_found,
  COALESCE(c.longest_missing, 0) AS longest_code_missing,
  -- Codes that differ in one character are siblings of one series, not the same thing.
  COALESCE(c.likeness, 0.5) AS code_likeness,
  {{ similarity.edit('l.model_number', 'r.model_number', 30) }} AS model_number_edit,
  {{ similarity.same('l.model_number', 'r.model_number') }} AS model_number_same,

  -- Fields.
  {{ similarity.edit('l.brand', 'r.brand', 30) }} AS brand_edit,
  -- A brand that one side gives as a field and the other only in its text.
  COALESCE(CAST(STRPOS(r.squashed_text, REPLACE(l.brand, ' ', '')) > 0 AS INT64), 0.5) AS left_brand_found,
  COALESCE(CAST(STRPOS(l.squashed_text, REPLACE(r.brand, ' ', '')) > 0 AS INT64), 0.5) AS right_brand_found,
  {{ similarity.edit('l.category', 'r.category', 40) }} AS category_edit,
  {{ similarity.same('l.merchant', 'r.merchant') }} AS merchant_same,
  {{ similarity.same('l.url_host', 'r.url_host') }} AS host_same,
  {{ similarity.edit('l.url_path', 'r.url_path', 60) }} AS path_edit,
  CAST(l.source = r.source AS INT64) AS source_same,

  -- Money, in one rough currency.
  {{ similarity.ratio('l.price', 'r.price') }} AS price_ratio,
  COALESCE(ABS(LN(l.price / r.price)), 0.7) AS price_distance,
  {{ similarity.same('ROUND(l.price, 2)', 'ROUND(r.price, 2)') }} AS price_same,
  {{ similarity.ratio('l.list_price', 'r.list_price') }} AS list_price_ratio,
  {{ similarity.same('l.currency', 'r.currency') }} AS currency_same,

  -- Time: offers of one campaign run side by side.
  COALESCE(ABS(DATE_DIFF(l.starts_on, r.starts_on, DAY)), 15) AS days_between_starts,
  COALESCE(ABS(DATE_DIFF(l.ends_on, r.ends_on, DAY)), 15) AS days_between_ends,
  COALESCE(CAST(l.starts_on <= r.ends_on AND r.starts_on <= l.ends_on AS INT64), 0.5) AS valid_together,

  -- What cannot be compared at all.
  CAST(l.price IS NULL OR r.price IS NULL AS INT64) AS price_missing,
  CAST(l.description = '' AS INT64) + CAST(r.description = '' AS INT64) AS descriptions_missing,
  CAST(l.brand IS NULL AS INT64) + CAST(r.brand IS NULL AS INT64) AS brands_missing,
  CAST(c.left_key IS NULL AS INT64) AS codes_missing,
  LEAST(m.title_words, n.title_words) AS title_words
FROM {{ run_table.compared_pairs }} AS pair
INNER JOIN {{ run_table.clean_deals }} AS l
  ON pair.left_key = l.deal_key
INNER JOIN {{ run_table.clean_deals }} AS r
  ON pair.right_key = r.deal_key
INNER JOIN {{ run_table.deal_norms }} AS m
  ON pair.left_key = m.deal_key
INNER JOIN {{ run_table.deal_norms }} AS n
  ON pair.right_key = n.deal_key
INNER JOIN {{ run_table.pair_overlap }} AS o
  ON pair.left_key = o.left_key AND pair.right_key = o.right_key
LEFT JOIN {{ run_table.pair_codes }} AS c
  ON pair.left_key = c.left_key AND pair.right_key = c.right_key
