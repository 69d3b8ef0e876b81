{#
  The first guess: a weighted sum of a pair's own signals, by which it is ranked among its rivals. Weights come from
  verdicts (guess_examples, guess_weights); here is what they are given to.
#}

{# Signals that each add something, of each kind one or two. No counts: two more words mean little in a long title. #}
{% set signals = [
  'title_cosine', 'title_jaccard', 'text_cosine', 'titles_found', 'pair_cosine', 'gram_cosine', 'title_edit',
  'rarest_shared_anywhere', 'rarest_alone_lesser', 'rarest_alone_greater',
  'number_weight_shared', 'number_weight_alone_lesser', 'number_weight_alone_greater',
  'rarest_code_found', 'rarest_code_alone_lesser', 'rarest_code_alone_greater',
  'brands_found', 'category_edit', 'price_ratio'
] %}

{#
  The guess of one pair, between 0 and 1. The sum is a half midway between a pair that is a duplicate and one that is
  none; the curve makes two sure pairs equal and tells unsure ones apart.
#}
{% macro of_pair(pair, weights) -%}
1 / (1 + EXP(-10 * (
  {{ weights }}.base - 0.5
  -- Five by five: what is added one by one is nested deeper than Google's analyzer takes.
  {% for some in signals | batch(5) %}
    + (0{% for signal in some %} + {{ weights }}.{{ signal }} * {{ pair }}.{{ signal }}{% endfor %})
  {% endfor %}
)))
{%- endmacro %}
