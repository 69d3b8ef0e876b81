{#
  Text to words. Every expression means the same in BigQuery, in the local stand-in and in the prediction service.
#}

{# The words of a text, one space between them: no case, no accents, no punctuation, numbers joined to their units. #}
{% macro normalise(text) -%}
TRIM(REGEXP_REPLACE(
  REGEXP_REPLACE(
    REGEXP_REPLACE(
      REGEXP_REPLACE(
        REGEXP_REPLACE(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              {{ plain(text) }}, r'\bv(?:er(?:sion)?)?[. ]*([0-9])', r'\1' -- v6, v. 6 and version 6 are 6
            ),
            r'([0-9]),([0-9]{3})\b', r'\1\2' -- 1,299 is 1299
          ),
          r'([0-9]) ?[.,]([0-9])', r'\1_\2' -- 3.5, 3,5 and 3 .5 are one word
        ),
        r'_0+\b', '' -- version 6.0 is version 6
      ),
      r'([0-9]) ?[\x22\x27”″]+', r'\1 inch '
    ),
    r'[^\p{L}\p{N}_]+', ' '
  ),
  r'\b([0-9_]+) ({{ units() }})\b', r'\1\2' -- 16 gb is 16gb
))
{%- endmacro %}

{# Lower case without accents; full-width and ligature forms become plain ones. #}
{% macro plain(text) -%}
  REGEXP_REPLACE(NORMALIZE_AND_CASEFOLD({{ text }}, NFKD), r'\p{M}+', '')
{%- endmacro %}

{# Letters and digits alone, so that "DCR-HC 52/B" and "dcrhc52b" are equal. #}
{% macro squash(text) -%}
  REGEXP_REPLACE({{ plain(text) }}, r'[^\p{L}\p{N}]+', '')
{%- endmacro %}

{# Units that a number belongs to; what they have in common is that "16 gb" and "16gb" are both written. #}
{% macro units() -%}
  p|kb|mb|gb|tb|hz|khz|mhz|ghz|w|kw|watt|watts|v|volt|ma|mah|wh|mp|px|k|mm|cm|m|km|in|inch|inches|ft|g|kg|mg|lb|lbs|oz|ml|cl|l|ltr|litre|liter|gal|qt|cu|db|btu|rpm|fps|x|pk|pack|pcs|pc|ct|count|user|users|port|ports|bit|channel|ch|dpi|ppm|zoll|stk|stuck|er
{%- endmacro %}

{# Whether a word holds a digit: a size, a version, a quantity or a part of a model number. #}
{% macro has_digit(word) -%}
  REGEXP_CONTAINS({{ word }}, r'[0-9]')
{%- endmacro %}
