{#
  What every CREATE MODEL says about the model registry, so that all versions stand under one ID, each with the alias of
  its run. Aliases that move (`challenger`, `champion`) are the loop's matter. A model that `bqloop try` makes is not
  registered, only labelled.
#}
{% macro registry_options(candidate) -%}
{% if candidate.vertex_ai_model_id %}
model_registry = 'vertex_ai',
  vertex_ai_model_id = '{{ candidate.vertex_ai_model_id }}',
  vertex_ai_model_version_aliases = [{% for alias in candidate.aliases %}'{{ alias }}'{{ ', ' if not loop.last }}{% endfor %}]
{%- else %}
labels = [('bqloop', 'try')]
{%- endif %}
{%- endmacro %}
