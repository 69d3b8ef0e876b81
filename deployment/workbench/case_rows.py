"""Rows of a case: the types that they have, and whether two sets of them are the same."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from google.cloud import bigquery

Rows = list[dict[str, Any]]


def rows_of(written: Any) -> Rows:
    """The rows that a case writes: each as a mapping, or all as a table whose first row has the names.

    >>> rows_of([["a", "b"], [1, 2]])
    [{'a': 1, 'b': 2}]
    """
    rows = list(written or ())
    if not rows or not isinstance(rows[0], list):
        return rows
    return [dict(zip(rows[0], values, strict=True)) for values in rows[1:]]


def field_of(column: str, kind: str) -> bigquery.SchemaField:
    """A column of that BigQuery type, which may be an array's."""
    if kind.startswith("ARRAY<"):
        return bigquery.SchemaField(column, kind[6:-1], "REPEATED")
    return bigquery.SchemaField(column, kind)


def type_of(values: Sequence[Any]) -> str:
    """The BigQuery type of a column's values."""
    known = [value for value in values if value is not None]
    if any(isinstance(value, list) for value in known):
        return f"ARRAY<{type_of([item for value in known for item in value])}>"
    for kinds, name in (
        ((bool,), "BOOL"),
        ((dt.datetime,), "TIMESTAMP"),
        ((dt.date,), "DATE"),
        ((int,), "INT64"),
        ((int, float), "FLOAT64"),
    ):
        if known and all(isinstance(value, kinds) for value in known):
            return name
    return "STRING"


def as_json(row: Mapping[str, Any], schema: Sequence[bigquery.SchemaField]) -> dict[str, Any]:
    """A row as it is streamed: instants as text, JSON as its text."""
    kinds = {column.name: column.field_type for column in schema}
    found = dict(row)
    for name, value in row.items():
        if value is not None and kinds.get(name) == "JSON":
            found[name] = json.dumps(value)
        elif isinstance(value, dt.date):
            found[name] = value.isoformat()
        elif isinstance(value, Decimal):
            found[name] = str(value)
    return found


def compared(expected: Rows, found: Rows, tolerance: float) -> tuple[Rows, Rows]:
    """Expected rows that did not come, and rows that came unexpected; order is nothing."""
    columns = list(expected[0]) if expected else list(found[0]) if found else []
    left = [{column: row.get(column, "no such column") for column in columns} for row in found]
    missing = []
    for row in expected:
        match = next((i for i, other in enumerate(left) if same(row, other, tolerance)), None)
        if match is None:
            missing.append(row)
        else:
            left.pop(match)
    return missing, left


def same(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values are the same, numbers within the tolerance."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(value, other.get(name), tolerance) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        return math.isclose(float(one), float(other), rel_tol=0, abs_tol=tolerance)
    if isinstance(one, dt.datetime) and isinstance(other, dt.datetime):
        return one.replace(tzinfo=one.tzinfo or dt.UTC) == other.replace(tzinfo=other.tzinfo or dt.UTC)
    return bool(one == other)
