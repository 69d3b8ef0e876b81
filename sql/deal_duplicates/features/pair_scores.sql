{% import 'macros/guess.sql' as guess %}
/*
  Scores by which a pair is ranked among its rivals. One row per pair.

  The first guess weighs the signals as verdicts say, which tells rivals apart best where there are verdicts; the
  others are unlearned and stand by themselves where there are few. Rounded, because sums of floats differ in their
  last digits from one engine to the next, and what is a tie in one has to be a tie in the other.

  Reads pair_signals, guess_weights (frozen). Read by pair_sides, pair_context.
*/
CREATE OR REPLACE TABLE {{ run_table.pair_scores }} AS
SELECT
  pair.left_key,
  pair.right_key,
  pair.left_source,
  pair.right_source,
  pair.left_seller,
  pair.right_seller,
  pair.met_on,
  ROUND({{ guess.of_pair('pair', 'weights') }}, 9) AS guess,
  ROUND(pair.title_cosine + pair.text_cosine + pair.pair_cosine + pair.gram_cosine, 9) AS likeness,
  ROUND(pair.rarest_shared_anywhere - pair.rarest_alone_lesser - pair.rarest_alone_greater, 9) AS rareness,
  ROUND(pair.longest_code_found * pair.rarest_code_found, 9) AS code,
  ROUND(pair.price_ratio, 9) AS amount
FROM {{ run_table.pair_signals }} AS pair
CROSS JOIN {{ run_table.guess_weights }} AS weights
