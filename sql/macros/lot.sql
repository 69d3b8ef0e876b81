{#
  Drawing by lot, the same for everyone who draws: by the hash of the pair, and by its keys where two hashes are equal.
#}

{# What to order pairs by. `pair` is the table's alias with a dot, where a query needs one. #}
{% macro of_pair(pair='') %}
  FARM_FINGERPRINT(CONCAT(CAST({{ pair }}left_key AS STRING), ' ', CAST({{ pair }}right_key AS STRING))),
  {{ pair }}left_key,
  {{ pair }}right_key
{% endmacro %}
