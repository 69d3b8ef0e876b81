"""The values of an OPTIONS list and of STRUCT arguments: from the syntax tree to plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlglot import exp

from ...bqml import HparamCandidates, HparamRange
from ..dialect import MlBigQuery, parse
from ..errors import BigQueryError
from ..parameters import Parameter

MAX_SERIES = 1_000_000


def value_of(node: exp.Expr, parameters: Mapping[str, Parameter]) -> Any:
    """A literal's value. HPARAM_RANGE and HPARAM_CANDIDATES give their own types.

    Raises:
        BigQueryError: it is not a literal or a parameter (`invalidQuery`).
    """
    if isinstance(node, exp.Literal):
        return node.this if node.is_string else _number(node.this)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -value_of(node.this, parameters)
    if isinstance(node, (exp.Paren, exp.Alias)):
        return value_of(node.this, parameters)
    if isinstance(node, exp.Cast):
        return _cast(node, parameters)
    if isinstance(node, exp.Array):
        return [value_of(item, parameters) for item in node.expressions]
    if isinstance(node, exp.GenerateSeries):
        return _series(
            *(value_of(node.args[name], parameters) for name in ("start", "end", "step") if node.args.get(name))
        )
    if isinstance(node, exp.Tuple):
        return tuple(value_of(item, parameters) for item in node.expressions)
    if isinstance(node, exp.Struct):
        return tuple(
            value_of(item.expression if isinstance(item, exp.PropertyEQ) else item, parameters)
            for item in node.expressions
        )
    if isinstance(node, exp.Parameter):
        parameter = parameters.get(node.name.lower())
        if parameter is not None:
            return parameter.value
    if isinstance(node, exp.Anonymous):
        return _hyperparameter(node, parameters)
    raise BigQueryError("invalidQuery", f"Expected a literal, got {node.sql(dialect='bigquery')}", location="query")


def _series(start: Any, end: Any, step: Any = 1) -> list[Any]:
    """GENERATE_ARRAY: each value is `start + n * step`, so that errors of rounding do not add up."""
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (start, end, step)) or step == 0:
        raise BigQueryError("invalidQuery", "GENERATE_ARRAY takes numbers and a step other than 0", location="query")
    last = int((end - start) / step) + 1  # one too many at most
    if last > MAX_SERIES:
        raise BigQueryError("invalidQuery", f"GENERATE_ARRAY gives more than {MAX_SERIES} values", location="query")
    values = [start + place * step for place in range(last + 1)]
    return [value for value in values if (value <= end if step > 0 else value >= end)]


def milliseconds_of(name: str, value: Any) -> int:
    """A TIMESTAMP option as milliseconds since the epoch; without a zone it is UTC.

    Raises:
        BigQueryError: it is no timestamp (`invalidQuery`).
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise BigQueryError(
            "invalidQuery", f"Option {name.upper()} must be a TIMESTAMP, got {value!r}", location="query"
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def struct_of(node: exp.Expr, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """A STRUCT argument (`STRUCT(0.6 AS threshold)`) by lower-case field name.

    Raises:
        BigQueryError: a field has no name (`invalidQuery`).
    """
    values: dict[str, Any] = {}
    for item in node.expressions:
        if not isinstance(item, (exp.PropertyEQ, exp.Alias)):
            raise BigQueryError("invalidQuery", "Each field of the STRUCT argument needs a name", location="query")
        name, value = (item.this.name, item.expression) if isinstance(item, exp.PropertyEQ) else (item.alias, item.this)
        values[name.lower()] = value_of(value, parameters)
    return values


def options_of(properties: exp.Expr | None, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """OPTIONS of a parsed CREATE MODEL, by lower-case name.

    Raises:
        BigQueryError: an option is given twice or is no literal (`invalidQuery`).
    """
    options: dict[str, Any] = {}
    for item in properties.expressions if properties is not None else []:
        if isinstance(item, exp.TransformModelProperty):
            continue
        if not isinstance(item, exp.Property):
            raise BigQueryError(
                "invalidQuery", f"CREATE MODEL does not take {item.sql(dialect='bigquery')}", location="query"
            )
        name = (item.this if isinstance(item.this, str) else item.this.name).lower()
        _add(options, name, value_of(item.args["value"], parameters))
    return options


def parse_options(text: str, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """OPTIONS of a statement that sqlglot does not know: the text between the parentheses.

    Raises:
        BigQueryError: as for `options_of`.
    """
    options: dict[str, Any] = {}
    if text.strip():
        for item in parse(f"SELECT OPTION_LIST({text})").find(exp.Anonymous).expressions:  # type: ignore[union-attr]
            if not isinstance(item, (exp.EQ, exp.PropertyEQ)):
                raise BigQueryError(
                    "invalidQuery", f"Expected option = value, got {item.sql(dialect=MlBigQuery)}", location="query"
                )
            _add(options, item.this.name.lower(), value_of(item.expression, parameters))
    return options


def _add(options: dict[str, Any], name: str, value: Any) -> None:
    if name in options:
        raise BigQueryError("invalidQuery", f"Option {name.upper()} is given more than once", location="query")
    options[name] = value


def _number(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _cast(node: exp.Cast, parameters: Mapping[str, Parameter]) -> Any:
    value = value_of(node.this, parameters)
    if node.is_type("decimal", "bigdecimal"):
        return float(Decimal(str(value)))
    if node.is_type("double", "float"):
        return float(value)
    if node.is_type("bigint", "int"):
        return int(value)
    return value


def _hyperparameter(node: exp.Anonymous, parameters: Mapping[str, Parameter]) -> Any:
    name = str(node.this).upper()
    arguments = [value_of(item, parameters) for item in node.expressions]
    if name == "HPARAM_RANGE" and len(arguments) == 2:  # low and high
        return HparamRange(*arguments)
    if name == "HPARAM_CANDIDATES" and len(arguments) == 1 and isinstance(arguments[0], list):
        return HparamCandidates(arguments[0])
    raise BigQueryError("invalidQuery", f"Function not found or called wrongly: {name}", location="query")
