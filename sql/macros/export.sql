{#
  What every EXPORT DATA says about its files. `export` holds `uri` (gs://, with one wildcard), `format` and `overwrite`;
  options of EXPORT DATA are no place for query parameters.
#}
{% macro options(export) -%}
OPTIONS (
  uri = '{{ export.uri }}',
  format = '{{ export.format }}',
  {% if export.format == 'CSV' %}
  header = TRUE,
  {% else %}
  compression = '{{ {'PARQUET': 'SNAPPY', 'AVRO': 'DEFLATE'}[export.format] }}',
  {% endif %}
  overwrite = {{ 'TRUE' if export.overwrite else 'FALSE' }}
)
{%- endmacro %}
