{#
  Which split a group belongs to. By hash, so that it is the same every day; of the group, so that rows which know of each
  other are on one side.
#}
{% macro of_group(label) -%}
CASE
  WHEN ABS(MOD(FARM_FINGERPRINT(CAST({{ label }} AS STRING)), 100)) < @test_percent THEN 'test'
  WHEN ABS(MOD(FARM_FINGERPRINT(CAST({{ label }} AS STRING)), 100)) < @test_percent + @validation_percent THEN 'validation'
  ELSE 'train'
END
{%- endmacro %}
