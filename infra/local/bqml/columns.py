"""From the columns of a query to single-valued model inputs: structs spread, timestamps taken apart.

BigQuery's automatic preprocessing, first half: a STRUCT becomes one input a field (``struct_field``), a TIMESTAMP becomes
its Unix time (numeric) and calendar parts (categories). What an input then becomes in the matrix is ``encoder``'s matter.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .bigquery_types import is_list, is_numeric, type_name
from .errors import BqmlError

NUMERIC, CATEGORY, VECTOR, SPARSE, MULTI = "numeric", "category", "vector", "sparse", "multi"

TIMESTAMP_PARTS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("day_of_month", pc.day),
    ("day_of_week", pc.day_of_week),
    ("month_of_year", pc.month),
    ("hour_of_day", pc.hour),
    ("minute_of_hour", pc.minute),
    ("week_of_year", pc.iso_week),
    ("year", pc.year),
)
"""Calendar parts of a TIMESTAMP, each encoded as a category."""


@dataclass(frozen=True)
class Input:
    """One single-valued input: ``name`` as the weights show it, ``source`` as the query named the feature."""

    name: str
    source: str
    kind: str
    arrow_type: pa.DataType
    _read: Callable[[], Any]

    def values(self) -> pa.ChunkedArray:
        """The column, NULLs as they are."""
        column = self._read()
        return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


def inputs_of(data: pa.Table | pa.RecordBatch, names: list[str], rows: pa.Array | None = None) -> list[Input]:
    """The model inputs of the named columns, in order; ``rows`` keeps only the rows that it marks (read lazily)."""
    found: list[Input] = []
    for name in names:
        column = data.column(name)
        found.extend(_spread(name, column.type, _reader(column, rows)))
    return found


def _reader(column: Any, rows: pa.Array | None) -> Callable[[], Any]:
    return (lambda: column) if rows is None else (lambda: column.filter(rows))


def _spread(name: str, arrow_type: pa.DataType, read: Callable[[], Any]) -> Iterator[Input]:
    if pa.types.is_dictionary(arrow_type):
        value_type = arrow_type.value_type
        yield from _spread(name, value_type, lambda: pc.cast(read(), value_type))
    elif pa.types.is_struct(arrow_type):
        for field in arrow_type:
            if not field.name:
                raise BqmlError(f"Column {name!r}: all fields of a STRUCT feature must be named.")
            if pa.types.is_struct(field.type):
                raise BqmlError(f"Column {name!r}: nested STRUCT features are not supported.")
            yield from _spread(f"{name}_{field.name}", field.type, _field_reader(read, field.name))
    elif pa.types.is_timestamp(arrow_type) and arrow_type.tz:
        yield Input(f"{name}_unix_time", name, NUMERIC, pa.float64(), lambda: _seconds(read()))
        for part, extract in TIMESTAMP_PARTS:
            yield Input(f"{name}_{part}", name, CATEGORY, pa.int64(), _part_reader(read, extract))
    else:
        yield Input(name, name, kind_of(name, arrow_type), arrow_type, read)


def _field_reader(read: Callable[[], Any], field: str) -> Callable[[], Any]:
    return lambda: pc.struct_field(read(), field)


def _part_reader(read: Callable[[], Any], extract: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: extract(read())


def _seconds(column: Any) -> Any:
    return pc.divide(pc.cast(pc.cast(column, pa.timestamp("us", "UTC")), pa.int64()).cast(pa.float64()), 1e6)


def kind_of(name: str, arrow_type: pa.DataType) -> str:
    """Which encoding a column gets. Raises BqmlError that names the column and its type."""
    types = pa.types
    if is_numeric(arrow_type):
        return NUMERIC
    if is_list(arrow_type):
        inner = arrow_type.value_type
        if is_numeric(inner):
            return VECTOR
        if types.is_struct(inner):
            fields = list(inner)
            if len(fields) == 2 and types.is_integer(fields[0].type) and is_numeric(fields[1].type):
                return SPARSE
        elif kind_of(name, inner) == CATEGORY:
            return MULTI
        raise BqmlError(f"Column {name!r} has type {_shown(arrow_type)}, which is not supported as a feature.")
    if (
        types.is_boolean(arrow_type)
        or types.is_string(arrow_type)
        or types.is_large_string(arrow_type)
        or types.is_string_view(arrow_type)
        or types.is_binary(arrow_type)
        or types.is_large_binary(arrow_type)
        or types.is_date(arrow_type)
        or types.is_time(arrow_type)
        or types.is_timestamp(arrow_type)
    ):
        return CATEGORY
    raise BqmlError(f"Column {name!r} has type {_shown(arrow_type)}, which is not supported as a feature.")


def _shown(arrow_type: pa.DataType) -> str:
    try:
        return type_name(arrow_type)
    except TypeError:
        return str(arrow_type)


def as_text(values: Any) -> Any:
    """Categories as BigQuery prints them: ``true``, ``2024-01-31``, ``2024-01-31T10:00:00``, bytes in base64."""
    arrow_type = values.type
    if pa.types.is_string(arrow_type):
        return values
    if pa.types.is_timestamp(arrow_type):
        text = pc.strftime(values.cast(pa.timestamp("us", arrow_type.tz)), format="%Y-%m-%dT%H:%M:%S")
        return pc.replace_substring_regex(text, r"\.0+$", "")
    if pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type):
        encoded = pc.dictionary_encode(values)
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        printed = [base64.b64encode(value).decode("ascii") for value in encoded.dictionary.to_pylist()]
        return pa.array(printed, pa.string()).take(encoded.indices)
    return pc.cast(values, pa.string())
