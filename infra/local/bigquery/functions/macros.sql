/* What BigQuery's functions compute, said in DuckDB's SQL. Each statement is one macro; the names start with bqloop_.
   Branches on typeof() are decided when a statement is bound: they cost nothing a row. */

/* CAST(x AS INT64): floats are rounded half away from zero; a string must be a whole number. */
CREATE OR REPLACE MACRO main.bqloop_cast_int64(x) AS
  CASE
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(round(CAST(x AS DOUBLE)) AS BIGINT)
    WHEN typeof(x) = 'VARCHAR' THEN
      CASE
        WHEN x IS NULL OR regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN CAST(trim(CAST(x AS VARCHAR)) AS BIGINT)
        ELSE error('bqloop:invalidQuery:Bad int64 value: ' || CAST(x AS VARCHAR))
      END
    ELSE CAST(x AS BIGINT)
  END;

CREATE OR REPLACE MACRO main.bqloop_try_cast_int64(x) AS
  CASE
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN TRY_CAST(round(TRY_CAST(x AS DOUBLE)) AS BIGINT)
    WHEN typeof(x) = 'VARCHAR' THEN
      CASE
        WHEN regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*') THEN TRY_CAST(trim(CAST(x AS VARCHAR)) AS BIGINT)
      END
    ELSE TRY_CAST(x AS BIGINT)
  END;

/* A float as text: 15 digits if they read back as the same number, else 17. */
CREATE OR REPLACE MACRO main.bqloop_float_string(x) AS
  CASE WHEN CAST(printf('%.15g', CAST(x AS DOUBLE)) AS DOUBLE) = CAST(x AS DOUBLE) THEN printf('%.15g', CAST(x AS DOUBLE)) ELSE printf('%.17g', CAST(x AS DOUBLE)) END;

/* CAST(x AS STRING): no ".0" after a whole float, no zeros after a numeric's last digit, thousandths in groups of three. */
CREATE OR REPLACE MACRO main.bqloop_cast_string(x) AS
  CASE
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN bqloop_float_string(x)
    WHEN typeof(x) LIKE 'DECIMAL%' THEN
      CASE WHEN contains(CAST(x AS VARCHAR), '.') THEN rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.') ELSE CAST(x AS VARCHAR) END
    WHEN typeof(x) IN ('TIMESTAMP', 'TIMESTAMP WITH TIME ZONE', 'TIME') THEN
      regexp_replace(
        regexp_replace(regexp_replace(CAST(x AS VARCHAR), '\.(\d)(\D|$)', '.\100\2'), '\.(\d\d)(\D|$)', '.\10\2'),
        '\.(\d\d\d\d\d?)(\D|$)',
        '.' || rpad(regexp_extract(CAST(x AS VARCHAR), '\.(\d{4,5})(\D|$)', 1), 6, '0') || '\2'
      )
    ELSE CAST(x AS VARCHAR)
  END;

/* SUBSTR: position 0 is 1, a position before the start is the start. */
CREATE OR REPLACE MACRO main.bqloop_substr_from(s, p) AS
  CASE WHEN p = 0 OR p < -length(s) THEN 1 ELSE p END;

/* EDIT_DISTANCE counts code points; DuckDB's levenshtein counts bytes, which is the same for ASCII and far faster. */
CREATE OR REPLACE MACRO main.bqloop_edit_distance(a, b) AS
  CASE
    WHEN strlen(a) = length(a) AND strlen(b) = length(b) THEN levenshtein(a, b)
    ELSE bqloop_edit_distance_unicode(a, b)
  END;

CREATE OR REPLACE MACRO main.bqloop_normalize(s, form) AS
  CASE WHEN strlen(s) = length(s) THEN s ELSE bqloop_normalize_unicode(s, form) END;

CREATE OR REPLACE MACRO main.bqloop_normalize_and_casefold(s, form) AS
  CASE WHEN strlen(s) = length(s) THEN lower(s) ELSE bqloop_casefold_unicode(s, form) END;

/* Weeks that begin on the weekday `first` (0 = Monday). */
CREATE OR REPLACE MACRO main.bqloop_week(x, first) AS
  date_trunc('week', x - to_days(first)) + to_days(first);

CREATE OR REPLACE MACRO main.bqloop_week_date(x, first) AS
  CAST(date_trunc('week', CAST(x AS DATE) - CAST(first AS INTEGER)) AS DATE) + CAST(first AS INTEGER);

CREATE OR REPLACE MACRO main.bqloop_week_diff(a, b, first) AS
  CAST((bqloop_week_date(a, first) - bqloop_week_date(b, first)) // 7 AS BIGINT);

/* TIMESTAMP_DIFF counts whole units, towards zero. */
CREATE OR REPLACE MACRO main.bqloop_timestamp_diff(a, b, unit) AS
  (epoch_us(a) - epoch_us(b)) // unit;

CREATE OR REPLACE MACRO main.bqloop_unix(t, unit) AS
  (epoch_us(t) - ((epoch_us(t) % unit + unit) % unit)) // unit;

/* %E<n>S of FORMAT_TIMESTAMP; digits -1 stands for %E*S. */
CREATE OR REPLACE MACRO main.bqloop_seconds(t, digits) AS
  lpad(CAST(((epoch_us(t) % 60000000 + 60000000) % 60000000) // 1000000 AS VARCHAR), 2, '0')
  || CASE
    WHEN digits = 0 THEN ''
    WHEN digits > 0 THEN '.' || rpad(left(lpad(CAST((epoch_us(t) % 1000000 + 1000000) % 1000000 AS VARCHAR), 6, '0'), digits), digits, '0')
    WHEN epoch_us(t) % 1000000 = 0 THEN ''
    ELSE '.' || rtrim(lpad(CAST((epoch_us(t) % 1000000 + 1000000) % 1000000 AS VARCHAR), 6, '0'), '0')
  END;

/* array[OFFSET(i)]: beyond the array is an error. */
CREATE OR REPLACE MACRO main.bqloop_at(a, i) AS
  CASE
    WHEN i < 0 OR i >= len(a) THEN error('bqloop:invalidQuery:Array index ' || i || ' is out of bounds')
    ELSE a[i + 1]
  END;

CREATE OR REPLACE MACRO main.bqloop_array_slice(a, first, last) AS
  list_slice(
    a,
    greatest(CASE WHEN first < 0 THEN len(a) + first + 1 ELSE first + 1 END, 1),
    CASE WHEN last < 0 THEN len(a) + last + 1 ELSE last + 1 END
  );

CREATE OR REPLACE MACRO main.array_is_distinct(a) AS
  len(list_distinct(a)) + CAST(list_contains(list_transform(a, v -> v IS NULL), true) AS INTEGER) = len(a);

/* Text that JSON functions read: NULL where it is no JSON. */
CREATE OR REPLACE MACRO main.bqloop_json(x) AS
  CASE WHEN typeof(x) = 'JSON' THEN CAST(x AS VARCHAR) WHEN json_valid(CAST(x AS VARCHAR)) THEN CAST(x AS VARCHAR) END;

CREATE OR REPLACE MACRO main.bqloop_json_type(j) AS
  CASE json_type(j)
    WHEN 'UBIGINT' THEN 'number' WHEN 'BIGINT' THEN 'number' WHEN 'DOUBLE' THEN 'number' WHEN 'HUGEINT' THEN 'number'
    WHEN 'VARCHAR' THEN 'string' ELSE lower(json_type(j))
  END;

CREATE OR REPLACE MACRO main.bqloop_instr_from_end(s, t, p) AS
  CASE
    WHEN s IS NULL OR t IS NULL THEN NULL
    ELSE coalesce(list_max([i FOR i IN range(1, length(s) - length(t) + 2) IF substring(s, i, length(t)) = t AND i <= length(s) + p + 1]), 0)
  END;

/* APPROX_QUANTILES: exact; n + 1 values of the data, the first its minimum, the last its maximum. */
CREATE OR REPLACE MACRO main.bqloop_quantiles(a, n) AS
  CASE WHEN len(a) > 0 THEN
    list_transform(range(0, n + 1), i -> list_sort(a)[CASE WHEN i = 0 THEN 1 ELSE CAST(ceil(i * len(a) / CAST(n AS DOUBLE)) AS BIGINT) END])
  END;

/* FORMAT's %t and %T. */
CREATE OR REPLACE MACRO main.bqloop_format_t(x) AS
  CASE
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN
      CASE WHEN regexp_full_match(bqloop_float_string(x), '-?\d+') THEN bqloop_float_string(x) || '.0' ELSE bqloop_float_string(x) END
    ELSE coalesce(bqloop_cast_string(x), 'NULL')
  END;

CREATE OR REPLACE MACRO main.bqloop_format_quoted(x) AS
  CASE
    WHEN x IS NULL THEN 'NULL'
    WHEN typeof(x) = 'VARCHAR' THEN '"' || replace(replace(CAST(x AS VARCHAR), '\', '\\'), '"', '\"') || '"'
    WHEN typeof(x) = 'DATE' THEN 'DATE "' || CAST(x AS VARCHAR) || '"'
    WHEN typeof(x) LIKE 'DECIMAL%' THEN 'NUMERIC "' || bqloop_cast_string(x) || '"'
    WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMP "' || bqloop_cast_string(x) || '"'
    ELSE bqloop_format_t(x)
  END;

CREATE OR REPLACE MACRO main.bqloop_format_grouped(x, pattern) AS
  CASE
    WHEN contains(pattern, '.') THEN
      format('{:,}', CAST(trunc(CAST(x AS DOUBLE)) AS BIGINT))
      || substring(printf('%.' || regexp_extract(pattern, '\.(\d+)', 1) || 'f', abs(CAST(x AS DOUBLE)) % 1), 2)
    ELSE format('{:,}', CAST(x AS BIGINT))
  END;

CREATE OR REPLACE MACRO main.bqloop_list(x) AS list(x) FILTER (x IS NOT NULL);

/* APPROX_TOP_COUNT from DuckDB's histogram: exact; the most frequent first, of two as frequent the smaller. */
CREATE OR REPLACE MACRO main.bqloop_top_count(counts, n) AS
  list_transform(
    list_sort(list_transform(map_entries(counts), e -> {'c': -CAST(e.value AS BIGINT), 'v': e.key}))[:n],
    t -> {'value': t.v, 'count': -t.c}
  );
