{# By what a pair is compared with its rivals: scores of pair_scores. #}
{% set scores = ['guess', 'likeness', 'rareness', 'code', 'amount'] %}

{# Those whose places count, too; the others have too many equals. #}
{% set ranked = ['guess', 'likeness', 'rareness'] %}
