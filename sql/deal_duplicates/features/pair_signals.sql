{% import 'macros/similarity.sql' as similarity %}
{% import 'macros/days.sql' as days %}
{% set scoring = earlier | default(none) %}
{% set adding = scoring and scoring.runs %}
/*
  What can be said about two deals without looking at others: each column one feature. One row per pair.

  A pure function of the deals, the frozen statistics and the pair: the prediction service runs this very file. No
  feature knows which deal is left and which is right (`fewer` and `more`, `lesser` and `greater` instead), so that it
  means the same for any two sources. None is NULL: what is missing counts as neither alike nor unlike, and is counted
  by itself.

  Reads compared_pairs, clean_deals, deal_norms, pair_words, pair_sequences, pair_codes. Read by pair_features.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_signals }} AS
{% if adding %}
  WITH deals AS (
    SELECT *
    FROM {{ days.united(run_table.clean_deals, scoring) }}
    WHERE TRUE {{ days.of_pairs(run_table.compared_pairs, scoring) }}
  )

{% endif %}
SELECT
  pair.left_key,
  pair.right_key,
  one.source AS left_source,
  one.deal_id AS left_id,
  two.source AS right_source,
  two.deal_id AS right_id,
  CONCAT(one.source, ' ', COALESCE(one.merchant, '')) AS left_seller,
  CONCAT(two.source, ' ', COALESCE(two.merchant, '')) AS right_seller,
  -- Since when the two could be compared.
  GREATEST(one.seen_on, two.seen_on) AS met_on,

  -- Words, weighted by rarity.
  -- The titles as bags of words: the plainest likeness.
  {{ similarity.cosine('words.title_dot', 'size_one.title_square', 'size_two.title_square') }} AS title_cosine,
  -- Words shared of all words used: falls when one title says more, which the cosine forgives.
  {{ similarity.jaccard('words.title_shared', 'size_one.title_sum', 'size_two.title_sum') }} AS title_jaccard,
  -- The shorter title within the longer one: a terse shop beside a wordy one.
  {{ similarity.share('words.title_shared', 'LEAST(size_one.title_sum, size_two.title_sum)') }} AS title_containment,
  -- All text with all text, description and brand included.
  {{ similarity.cosine('words.text_dot', 'size_one.text_square', 'size_two.text_square') }} AS text_cosine,
  {{ similarity.jaccard('words.text_shared', 'size_one.text_sum', 'size_two.text_sum') }} AS text_jaccard,
  {{ similarity.share('words.text_shared', 'LEAST(size_one.text_sum, size_two.text_sum)') }} AS text_containment,
  -- One title in all the other side's text: what one says in the title the other may say in the description.
  {{ similarity.share('words.left_title_found', 'size_one.title_sum') }}
  + {{ similarity.share('words.right_title_found', 'size_two.title_sum') }} AS titles_found,
  LEAST(
    {{ similarity.share('words.left_title_found', 'size_one.title_sum') }},
    {{ similarity.share('words.right_title_found', 'size_two.title_sum') }}
  ) AS title_found_lesser,
  -- Words unweighted: where all words are rare, rarity tells nothing.
  words.words_shared,
  {{ similarity.jaccard('words.words_shared', 'size_one.title_words', 'size_two.title_words') }} AS words_jaccard,
  LEAST(size_one.title_words, size_two.title_words) - words.words_shared AS words_alone_fewer,
  GREATEST(size_one.title_words, size_two.title_words) - words.words_shared AS words_alone_more,
  -- Names of two words, in their order: "galaxy tab" is not "tab galaxy".
  {{ similarity.cosine('COALESCE(sequences.pair_dot, 0)', 'size_one.pair_square', 'size_two.pair_square') }}
    AS pair_cosine,
  COALESCE(sequences.pairs_shared, 0) AS pairs_shared,
  -- Characters: misspellings, words joined or cut, endings.
  {{ similarity.cosine('COALESCE(sequences.gram_dot, 0)', 'size_one.gram_square', 'size_two.gram_square') }}
    AS gram_cosine,
  -- The rarest word that both use, and the rarest that only one does: one rare word tells more than ten common ones.
  words.rarest_shared,
  words.rarest_shared_anywhere,
  LEAST(words.rarest_left_only, words.rarest_right_only) AS rarest_alone_lesser,
  GREATEST(words.rarest_left_only, words.rarest_right_only) AS rarest_alone_greater,

  -- Spelling.
  {{ similarity.edit('one.title', 'two.title') }} AS title_edit,
  -- How much longer one title is: accessories and bundles say more.
  {{ similarity.ratio('LENGTH(one.title)', 'LENGTH(two.title)') }} AS title_length_ratio,
  -- The name begins with the brand, as a rule.
  {{ similarity.same("REGEXP_EXTRACT(one.title, r'^[^ ]+')", "REGEXP_EXTRACT(two.title, r'^[^ ]+')") }}
    AS first_word_same,

  -- Numbers: sizes, versions, quantities. One that only one side has is often another variant.
  words.numbers_shared,
  LEAST(words.numbers_left_only, words.numbers_right_only) AS numbers_alone_fewer,
  GREATEST(words.numbers_left_only, words.numbers_right_only) AS numbers_alone_more,
  -- The same by rarity: "2" tells little, "5350" much.
  words.number_weight_shared,
  LEAST(words.number_weight_left_only, words.number_weight_right_only) AS number_weight_alone_lesser,
  GREATEST(words.number_weight_left_only, words.number_weight_right_only) AS number_weight_alone_greater,

  -- Model codes: the maker's own number, found in the other side's text however it is written there.
  COALESCE(codes.found, 0) AS codes_found,
  LEAST(COALESCE(codes.left_missing, 0), COALESCE(codes.right_missing, 0)) AS codes_alone_fewer,
  GREATEST(COALESCE(codes.left_missing, 0), COALESCE(codes.right_missing, 0)) AS codes_alone_more,
  -- A long or rare code found is no accident; one missing is another model.
  COALESCE(codes.longest_found, 0) AS longest_code_found,
  COALESCE(codes.longest_missing, 0) AS longest_code_alone,
  COALESCE(codes.rarest_found, 0) AS rarest_code_found,
  LEAST(COALESCE(codes.rarest_left_missing, 0), COALESCE(codes.rarest_right_missing, 0)) AS rarest_code_alone_lesser,
  GREATEST(COALESCE(codes.rarest_left_missing, 0), COALESCE(codes.rarest_right_missing, 0))
    AS rarest_code_alone_greater,
  -- Codes that differ in one character are siblings of one series, not the same thing.
  COALESCE(codes.likeness, 0.5) AS code_likeness,
  -- The field that some sources have for it.
  {{ similarity.edit('one.model_number', 'two.model_number', 30) }} AS model_number_edit,
  {{ similarity.same('one.model_number', 'two.model_number') }} AS model_number_same,

  -- Fields.
  {{ similarity.edit('one.brand', 'two.brand', 30) }} AS brand_edit,
  -- A brand that one side gives as a field and the other only in its text.
  {{ similarity.found("REPLACE(one.brand, ' ', '')", 'two.squashed_text') }}
  + {{ similarity.found("REPLACE(two.brand, ' ', '')", 'one.squashed_text') }} AS brands_found,
  {{ similarity.edit('one.category', 'two.category', 40) }} AS category_edit,
  {{ similarity.same('one.merchant', 'two.merchant') }} AS merchant_same,
  {{ similarity.same('one.url_host', 'two.url_host') }} AS host_same,
  {{ similarity.edit('one.url_path', 'two.url_path', 60) }} AS path_edit,
  CAST(one.source = two.source AS INT64) AS source_same,

  -- Money, in one rough currency.
  {{ similarity.ratio('one.price', 'two.price') }} AS price_ratio,
  {{ similarity.same('ROUND(one.price, 2)', 'ROUND(two.price, 2)') }} AS price_same,
  {{ similarity.ratio('one.list_price', 'two.list_price') }} AS list_price_ratio,
  {{ similarity.same('one.currency', 'two.currency') }} AS currency_same,

  -- Time: offers of one campaign run side by side.
  COALESCE(ABS(DATE_DIFF(one.starts_on, two.starts_on, DAY)), 15) AS days_between_starts,
  COALESCE(ABS(DATE_DIFF(one.ends_on, two.ends_on, DAY)), 15) AS days_between_ends,
  COALESCE(CAST(one.starts_on <= two.ends_on AND two.starts_on <= one.ends_on AS INT64), 0.5) AS valid_together,

  -- What cannot be compared at all.
  CAST(one.price IS NULL OR two.price IS NULL AS INT64) AS price_missing,
  CAST(one.description = '' AS INT64) + CAST(two.description = '' AS INT64) AS descriptions_missing,
  CAST(one.brand IS NULL AS INT64) + CAST(two.brand IS NULL AS INT64) AS brands_missing,
  CAST(codes.left_key IS NULL AS INT64) AS codes_missing,
  LEAST(size_one.title_words, size_two.title_words) AS title_words_fewer
FROM {{ run_table.compared_pairs }} AS pair
INNER JOIN {{ 'deals' if adding else run_table.clean_deals }} AS one
  ON pair.left_key = one.deal_key
INNER JOIN {{ 'deals' if adding else run_table.clean_deals }} AS two
  ON pair.right_key = two.deal_key
INNER JOIN {{ days.united(run_table.deal_norms, scoring) }} AS size_one
  ON pair.left_key = size_one.deal_key
INNER JOIN {{ days.united(run_table.deal_norms, scoring) }} AS size_two
  ON pair.right_key = size_two.deal_key
INNER JOIN {{ run_table.pair_words }} AS words
  ON pair.left_key = words.left_key AND pair.right_key = words.right_key
LEFT JOIN {{ run_table.pair_sequences }} AS sequences
  ON pair.left_key = sequences.left_key AND pair.right_key = sequences.right_key
LEFT JOIN {{ run_table.pair_codes }} AS codes
  ON pair.left_key = codes.left_key AND pair.right_key = codes.right_key
