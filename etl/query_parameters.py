"""Python values as BigQuery's typed query parameters: values reach statements this way alone, never as text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud import bigquery

from etl.errors import StatementError


@dataclass(frozen=True)
class Null:
    """The NULL of a type, as a parameter's value; BigQuery wants to know the type of nothing, too."""

    kind: str


def query_parameter(name: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    """A typed query parameter of a Python value.

    Raises:
        StatementError: The value is of no type that a parameter can have.
    """
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        kind = _bigquery_type(name, value[0]) if value else "STRING"
        return bigquery.ArrayQueryParameter(name, kind, list(value))
    if isinstance(value, Null):
        return bigquery.ScalarQueryParameter(name, value.kind, None)
    return bigquery.ScalarQueryParameter(name, _bigquery_type(name, value), value)


def _bigquery_type(name: str, value: Any) -> str:
    types: tuple[tuple[type, str], ...] = (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (str, "STRING"),
        (dt.datetime, "TIMESTAMP"),
        (dt.date, "DATE"),
    )
    for python_type, kind in types:
        if isinstance(value, python_type):
            return kind
    raise StatementError(f"parameter @{name} has a value of type {type(value).__name__}, which BigQuery cannot take")
