"""The service's engine means what BigQuery means: the same expressions by Google's reference evaluator and by DuckDB."""

import json
import math
from functools import cache
from typing import Any

import duckdb
import pytest
import sqlglot

from etl.errors import TemplateError
from functions.service.engine.columns import EngineError
from functions.service.engine.relations import Relation
from functions.service.engine.rows import program as loops
from functions.service.engine.rows.tables import Table
from functions.service.engine.selects import compile_query
from functions.service.engine.strings import Pool
from functions.service.sql_functions import add_functions
from functions.service.translation import to_duckdb

zetasql = pytest.importorskip("zetasql.api")

TEXTS = [
    "''",
    "'a'",
    "'Sony  PSLX-350H 16 GB'",
    r"'tab\tand\nline '",
    "'Größe ÜBER ß'",
    "'İstanbul ΣΊΣΥΦΟΣ'",
    "'日本語 テレビ'",
    "'مرحبا بالعالم'",
    "'👩‍👩‍👧 emoji 🎧'",
    "'cafe\u0301 ﬁne'",
    "' non-breaking '",
    "'\u2003em\u3000space\u2003'",
    "'" + "x1-" * 60 + "'",
    "CAST(NULL AS STRING)",
]
OF_ONE_TEXT = [
    "FARM_FINGERPRINT({0})",
    "LENGTH({0})",
    "LOWER({0})",
    "TRIM({0})",
    "SUBSTR({0}, 1, 3)",
    "SUBSTR({0}, 2, 3)",
    "REGEXP_REPLACE({0}, r'[^\\p{{L}}\\p{{N}}]+', '')",
    "REGEXP_REPLACE({0}, r'([0-9]+) ([A-Z]{{2}})\\b', r'\\1\\2')",
    "REGEXP_EXTRACT({0}, r'([a-z]+)[0-9]')",
    "REGEXP_EXTRACT({0}, r'[0-9]+')",
    "REGEXP_CONTAINS({0}, r'[0-9]')",
    "ARRAY_LENGTH(SPLIT({0}, ' '))",
    "STRPOS({0}, 'l')",
    "REPLACE({0}, ' ', '')",
    "CONCAT({0}, 'x')",
    "COALESCE({0}, '-')",
    "NULLIF({0}, '')",
    "STARTS_WITH({0}, 'S')",
]
OF_TWO_TEXTS = ["EDIT_DISTANCE({0}, {1})", "CAST({0} = {1} AS INT64)", "{0} < {1}", "STRPOS({0}, {1})"]
NUMBERS = ["0.0", "0.5", "1.5", "2.5", "-2.5", "1e-9", "3.0", "CAST(NULL AS FLOAT64)"]
OF_ONE_NUMBER = [
    "CAST({0} AS INT64)",
    "ROUND({0}, 2)",
    "ROUND({0})",
    "FLOOR({0})",
    "CEIL({0})",
    "ABS({0})",
    "SIGN({0})",
    "SQRT(ABS({0}))",
    "LN(ABS({0}) + 1)",
    "EXP({0})",
]
OF_TWO_NUMBERS = [
    "SAFE_DIVIDE({0}, {1})",
    "GREATEST({0}, {1})",
    "LEAST({0}, {1})",
    "IF({0} > {1}, 1, 2)",
    "COALESCE({0}, {1})",
]
OTHERS = [
    "DATE_DIFF(DATE '2026-03-01', DATE '2026-02-27', DAY)",
    "MOD(-7, 3)",
    "CAST(1 = 1 OR FALSE AS INT64)",
    "LEAST(10, CAST(NULL AS INT64))",
    "7 / 2",
    "ARRAY_LENGTH(REGEXP_EXTRACT_ALL('a1 b22', r'[a-z]([0-9]+)'))",
    "ARRAY_LENGTH(ARRAY_CONCAT([1], [2, 3]))",
    *(
        f"(SELECT {aggregate} FROM UNNEST({values}) AS x)"
        for aggregate in (
            "COUNTIF(x)",
            "COUNT(x)",
            "LOGICAL_OR(x)",
            "LOGICAL_AND(x)",
            "MAX(IF(x, 2, 1))",
            "SUM(IF(x, 2, 1))",
        )
        for values in ("[TRUE, NULL, FALSE]", "[CAST(NULL AS BOOL)]", "[TRUE, TRUE]")
    ),
]


def cases() -> list[str]:
    one = [e.format(t) for e in OF_ONE_TEXT for t in TEXTS]
    two = [e.format(a, b) for e in OF_TWO_TEXTS for a in TEXTS[2:9:2] + TEXTS[-1:] for b in (TEXTS[1], TEXTS[4])]
    numbers = [e.format(n) for e in OF_ONE_NUMBER for n in NUMBERS]
    pairs = [e.format(a, b) for e in OF_TWO_NUMBERS for a in NUMBERS[::2] for b in NUMBERS[1::2]]
    return one + two + numbers + pairs + OTHERS


@cache
def evaluator() -> Any:
    from zetasql import types

    language = types.LanguageOptions.maximum_features()
    functions = types.ZetaSQLBuiltinFunctionOptions(language_options=language)
    catalog = zetasql.CatalogBuilder("catalog").with_builtin_functions(functions).build()
    options = types.AnalyzerOptions(language_options=language)

    def evaluate(expressions: list[str]) -> list[Any]:
        # Many at a time: preparing an expression takes the evaluator longer than anything else.
        columns = ", ".join(f"{expression} AS c{n}" for n, expression in enumerate(expressions))
        value = zetasql.PreparedExpression(f"TO_JSON_STRING(STRUCT({columns}))", options, catalog).execute()
        return list(json.loads(value.get_string()).values())

    return evaluate


@cache
def engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    add_functions(connection)
    return connection


def by_duckdb(expression: str) -> Any:
    # ARRAY_LENGTH and TO_JSON_STRING are the test's own words.
    inner = expression.removeprefix("ARRAY_LENGTH(").removesuffix(")") if expression.startswith("ARRAY_LENGTH(") else ""
    parsed = sqlglot.parse_one(f"SELECT {inner or expression} AS x", dialect="bigquery")
    value = engine().execute(to_duckdb(parsed, "test").sql("duckdb")).fetchone()
    assert value is not None
    return (len(value[0]) if value[0] is not None else None) if inner else value[0]


def by_columns(query: str) -> Any:
    compiled = compile_query(sqlglot.parse_one(query, dialect="bigquery"), {}, {})
    (row,) = compiled.run(unknown_table, Pool()).rows()
    return row["x"]


def by_rows(query: str) -> Any:
    from_one = query if " FROM " in query else f"{query} FROM one"
    program = loops.Program({"q": sqlglot.parse_one(from_one, dialect="bigquery")}, {"one": ("n",)}, {}, {}, ["q"])
    (value,) = program.run({"one": Table(1, {"n": [1]})})("q").columns["x"]
    return value


def as_query(expression: str) -> str:
    # NULL by itself is nothing that a feature says; ARRAY_LENGTH and what stands in brackets are the test's own words.
    written = expression.replace("CAST(NULL AS STRING)", "NULLIF('a', 'a')").replace(
        "CAST(NULL AS FLOAT64)", "NULLIF(0.0, 0.0)"
    )
    written = written.replace("CAST(NULL AS BOOL)", "NULLIF(TRUE, TRUE)").replace("CAST(NULL AS INT64)", "NULL")
    if written.startswith("ARRAY_LENGTH("):
        array = written.removeprefix("ARRAY_LENGTH(").removesuffix(")")
        written = f"SELECT COUNT(*) AS x FROM UNNEST({array})  AS one"
    elif written.startswith("(SELECT"):
        written = written[1:-1].replace(" FROM", " AS x FROM", 1).replace("AS x)", "AS x")
    else:
        written = f"SELECT {written} AS x"
    return written


def unknown_table(name: str) -> Relation:
    raise AssertionError(name)


def difference(expression: str, expected: Any, got: Any) -> tuple[str, Any, Any] | None:
    if isinstance(expected, int | float) and not isinstance(expected, bool) and got is not None:
        same = math.isclose(float(expected), float(got), rel_tol=1e-12, abs_tol=1e-12)
    elif isinstance(expected, str) and isinstance(got, int):
        same = int(expected) == got  # TO_JSON_STRING writes large INT64 as text
    else:
        same = expected == got
    return None if same else (expression, expected, got)


@pytest.mark.parametrize("block", range(2))
def test_every_compared_function_gives_what_google_gives_in_every_engine(block: int) -> None:
    expressions = cases()[block::2]
    different, refused = [], set()
    for start in range(0, len(expressions), 120):
        batch = expressions[start : start + 120]
        for expression, expected in zip(batch, evaluator()(batch), strict=True):
            different.append(difference(expression, expected, by_duckdb(expression)))
            for engine_of_service in (by_columns, by_rows):
                try:
                    got = engine_of_service(as_query(expression))
                except EngineError as error:
                    refused.add((expression, str(error)))
                else:
                    # The length of an array that is NULL is NULL, and it has no elements to count.
                    nothing = expected is None and expression.startswith("ARRAY_LENGTH(") and got == 0
                    different.append(None if nothing else difference(expression, expected, got))
    assert [one for one in different if one is not None] == []
    assert refused == set()


def test_offsets_count_from_zero_and_only_where_they_were_asked_for() -> None:
    query = """
      WITH words AS (SELECT word, place FROM UNNEST(SPLIT('a b c', ' ')) AS word WITH OFFSET AS place)
      SELECT word, place, n FROM words CROSS JOIN UNNEST(GENERATE_ARRAY(1, 2)) AS n WHERE place > 0 ORDER BY word, n
    """
    translated = to_duckdb(sqlglot.parse_one(query, dialect="bigquery"), "test").sql("duckdb")
    assert engine().execute(translated).fetchall() == [("b", 1, 1), ("b", 1, 2), ("c", 2, 1), ("c", 2, 2)]


@pytest.mark.parametrize(
    "expression", ["SOUNDEX(x)", "JSON_VALUE(x, '$.a')", "MY_FUNCTION(x)", "APPROX_QUANTILES(x, 2)"]
)
def test_a_function_that_nobody_compared_is_refused_by_name(expression: str) -> None:
    parsed = sqlglot.parse_one(f"SELECT {expression} FROM t", dialect="bigquery")
    with pytest.raises(TemplateError, match=r"sql/features/x\.sql: .* has not been compared"):
        to_duckdb(parsed, "features/x.sql")
