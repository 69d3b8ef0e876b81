"""BigQuery's SQL with its ML statements, as a sqlglot dialect.

sqlglot parses CREATE MODEL and ML.PREDICT; the other `ML.*` table functions take arguments (`MODEL m`, `TABLE t`, a
query, a STRUCT) that it does not know. Here each of them becomes one `MlTableFunction` node.
"""

# ruff: noqa: SLF001  # sqlglot's parser and bqemulator's internals are what is adapted here

from __future__ import annotations

import re
from typing import Any, ClassVar

import sqlglot
from bqemulator.domain.errors import InvalidQueryError
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ParseError, TokenError

from ..bqml.table_functions import FUNCTIONS

OTHER_FUNCTIONS = ("TRANSFORM",)
"""Table functions that are the adapter's own business: TRANSFORM is SQL, which the library does not speak."""

KNOWN_TO_BIGQUERY = (
    "ARIMA_COEFFICIENTS", "ARIMA_EVALUATE", "DETECT_ANOMALIES", "DISTANCE", "EXPLAIN_FORECAST", "FORECAST",
    "GENERATE_EMBEDDING", "GENERATE_TEXT", "HOLIDAY_INFO", "RECOMMEND", "RECONSTRUCTION_LOSS", "TRANSLATE",
    "UNDERSTAND_TEXT", "TFDV_DESCRIBE", "TFDV_VALIDATE", "LP_NORM", "CONVERT_COLOR_SPACE", "DECODE_IMAGE",
    "GET_INSIGHTS", "PREDICT_TIME_SERIES",
)  # fmt: skip
"""Functions of BigQuery ML that are not carried out here, to be refused by name."""


class MlModel(exp.Expression):
    """`MODEL dataset.model` as an argument."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class MlTable(exp.Expression):
    """`TABLE dataset.table`, or a bare name, as an argument."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True}


class MlTableFunction(exp.Expression):
    """`ML.NAME(arguments)`; `this` is the name in capitals."""

    arg_types: ClassVar[dict[str, bool]] = {"this": True, "expressions": False}


def _ml_argument(parser: Any) -> Any:
    if parser._match_text_seq("MODEL"):
        return MlModel(this=parser._parse_table_parts())
    if parser._match_text_seq("TABLE"):
        return MlTable(this=parser._parse_table_parts())
    argument = parser._parse_lambda()
    if isinstance(argument, exp.Column):
        return MlTable(
            this=exp.Table(this=argument.this, db=argument.args.get("table"), catalog=argument.args.get("db"))
        )
    return argument


def _table_function_parser(name: str, fallback: Any) -> Any:
    def parse(parser: Any) -> Any:
        tokens, index = parser._tokens, parser._index
        if index < 4 or tokens[index - 4].text.upper() != "ML":
            if fallback is not None:
                return fallback(parser)
            return exp.Anonymous(this=name, expressions=parser._parse_csv(parser._parse_lambda))
        return MlTableFunction(this=name, expressions=parser._parse_csv(lambda: _ml_argument(parser)))

    return parse


class MlBigQuery(BigQuery):
    """BigQuery with ML.* table functions."""

    class Parser(BigQuery.Parser):  # type: ignore[misc,valid-type]  # sqlglot makes its classes at run time
        """Adds a parser for each table function."""

        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            **BigQuery.Parser.FUNCTION_PARSERS,
            **{
                name: _table_function_parser(name, BigQuery.Parser.FUNCTION_PARSERS.get(name))
                for name in (*FUNCTIONS, *OTHER_FUNCTIONS, *KNOWN_TO_BIGQUERY)
            },
        }

    class Generator(BigQuery.Generator):  # type: ignore[misc,valid-type]  # as above
        """Writes the nodes that the parser adds."""

        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **BigQuery.Generator.TRANSFORMS,
            MlModel: lambda self, node: f"MODEL {self.sql(node, 'this')}",
            MlTable: lambda self, node: f"TABLE {self.sql(node, 'this')}",
            MlTableFunction: lambda self, node: f"{node.this}({self.expressions(node, flat=True)})",
        }


def parse(sql: str) -> exp.Expr:
    """The syntax tree of one statement.

    Raises:
        InvalidQueryError: with the line and column that BigQuery shows.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=MlBigQuery) if tree is not None]
    except (ParseError, TokenError) as error:
        unknown = _unknown_table_function(sql)
        if unknown:
            raise InvalidQueryError(f"Table-valued function not found: ML.{unknown}", location="query") from error
        raise syntax_error(error) from error
    if not trees:
        raise InvalidQueryError("Syntax error: Unexpected end of statement at [1:1]", location="query")
    return trees[0]


def syntax_error(error: Exception) -> InvalidQueryError:
    """sqlglot's complaint in BigQuery's form: `Syntax error: ... at [line:column]`."""
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    line, column = details.get("line") or 1, details.get("col") or 1
    near = details.get("highlight") or ""
    what = details.get("description") or str(error).splitlines()[0]
    shown = f' near "{near}"' if near else ""
    return InvalidQueryError(f"Syntax error: {what}{shown} at [{line}:{column}]", location="query")


def _unknown_table_function(sql: str) -> str | None:
    """The name of an ML function that takes a model and is none of BigQuery's; sqlglot stumbles over its arguments."""
    known = {*FUNCTIONS, *OTHER_FUNCTIONS, *KNOWN_TO_BIGQUERY}
    called = re.findall(r"\bML\s*\.\s*(\w+)\s*\(\s*(?:MODEL|TABLE)\b", sql, re.IGNORECASE)
    return next((name for name in called if name.upper() not in known), None)
