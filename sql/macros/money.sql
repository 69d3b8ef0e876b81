{#
  Amounts in one currency. The rates are rough and fixed on purpose: a price says of what order the thing is, features
  must not change with the day's exchange rate, and a currency that is not listed counts as it stands.
#}
{% macro in_dollars(amount, currency) -%}
  CAST(NULLIF({{ amount }}, 0) AS FLOAT64) * CASE {{ currency }}
  WHEN 'EUR' THEN 1.1
  WHEN 'GBP' THEN 1.28
  WHEN 'CHF' THEN 1.12
  WHEN 'CAD' THEN 0.73
  WHEN 'AUD' THEN 0.66
  WHEN 'SEK' THEN 0.095
  WHEN 'NOK' THEN 0.093
  WHEN 'DKK' THEN 0.147
  WHEN 'PLN' THEN 0.25
  WHEN 'CZK' THEN 0.043
  WHEN 'HUF' THEN 0.0028
  WHEN 'JPY' THEN 0.0067
  WHEN 'CNY' THEN 0.14
  WHEN 'INR' THEN 0.012
  ELSE 1
END
{%- endmacro %}
