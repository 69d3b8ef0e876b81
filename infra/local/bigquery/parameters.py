"""Query parameters and script variables, bound by DuckDB itself under their names and with their declared types.

bqemulator puts question marks in by regular expression, which finds `@` inside string literals too, and leaves the type
to what DuckDB makes of the Python value. Here each parameter becomes `CAST(@name AS <type>)` in the syntax tree.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bqemulator.sql.parameters import _extract_value
from sqlglot import exp

from .errors import BigQueryError

POSITIONAL_PREFIX = "_position_"
VARIABLE_PREFIX = "_variable_"


@dataclass(frozen=True)
class Parameter:
    """A value under its name. `type` is BigQuery's, as SQL writes it ("ARRAY<STRUCT<a INT64>>"); None = as it comes."""

    name: str
    type: str | None
    value: Any


def parameters_of(rest: Sequence[Mapping[str, Any]] | None) -> dict[str, Parameter]:
    """`queryParameters` of a request, by lower-case name; positional ones are named by their place.

    Raises:
        BigQueryError: a value does not fit its type (`invalid`).
    """
    found: dict[str, Parameter] = {}
    for place, parameter in enumerate(rest or []):
        name = parameter.get("name") or f"{POSITIONAL_PREFIX}{place}"
        declared = type_sql(parameter.get("parameterType") or {"type": "STRING"})
        try:
            value = _extract_value(dict(parameter))
            if declared == "BYTES" and value is not None:
                value = base64.b64decode(value)
        except (ValueError, ArithmeticError) as error:
            raise BigQueryError(
                "invalid", f"Invalid value for query parameter {name} of type {declared}: {error}"
            ) from error
        found[name.lower()] = Parameter(name.lower(), declared, value)
    return found


def type_sql(parameter_type: Mapping[str, Any]) -> str:
    """A REST parameter type as SQL writes it."""
    kind = str(parameter_type.get("type", "STRING")).upper()
    if kind == "ARRAY":
        return f"ARRAY<{type_sql(parameter_type['arrayType'])}>"
    if kind == "STRUCT":
        fields = (f"{f.get('name', '')} {type_sql(f['type'])}".strip() for f in parameter_type.get("structTypes", []))
        return f"STRUCT<{', '.join(fields)}>"
    return {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(kind, kind)


def place_parameters(tree: exp.Expr, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Write every parameter of `tree` with its type, in place. Returns the values that the statement needs, by name.

    Raises:
        BigQueryError: a parameter has no value (`invalidQuery`).
    """
    values: dict[str, Any] = {}
    place = 0
    for node in list(tree.find_all(exp.Parameter, exp.Placeholder)):
        if isinstance(node, exp.Placeholder):
            name, place = f"{POSITIONAL_PREFIX}{place}", place + 1
        elif isinstance(node.parent, (exp.SessionParameter, exp.Parameter)):
            continue
        else:
            name = node.name.lower()
        parameter = parameters.get(name)
        if parameter is None:
            shown = "Positional" if name.startswith(POSITIONAL_PREFIX) else f"'{node.name}'"
            raise BigQueryError("invalidQuery", f"Query parameter {shown} not found", location="query")
        values[name] = parameter.value
        if node.find_ancestor(exp.Version):
            node.replace(exp.cast(exp.Literal.string(_timestamp_text(parameter.value)), exp.DataType.Type.TIMESTAMPTZ))
            values.pop(name)
            continue
        placed: exp.Expr = exp.Parameter(this=exp.Var(this=name))
        if parameter.type is not None:
            placed = exp.Cast(this=placed, to=exp.DataType.build(parameter.type, dialect="bigquery"))
        node.replace(placed)
    return values


def _timestamp_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def used_values(duckdb_sql: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The values that are left in the statement after its translation; DuckDB refuses a surplus."""
    used = {name: value for name, value in values.items() if f"${name}" in duckdb_sql}
    return used or None
