"""The literal arguments of a preprocessing function, with their defaults, and columns of the type that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..bigquery_types import is_list, is_numeric, type_name
from ..errors import BqmlError
from ..numbers import numbers

MAX_TOP_K = 1_000_000


def argument(function: str, arguments: Sequence[Any], place: int, name: str, kind: type, default: Any) -> Any:
    """The argument at a place, or its default. INT64 stands for FLOAT64. Raises BqmlError on another type."""
    if place >= len(arguments):
        return default
    value = arguments[place]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BqmlError(f"Argument {name!r} of ML.{function} has the wrong type: {value!r}.")
    return value


def vocabulary_limits(function: str, arguments: Sequence[Any], place: int) -> tuple[int, int]:
    """``top_k`` (32,000) and ``frequency_threshold`` (5), from that place on."""
    top_k = argument(function, arguments, place, "top_k", int, 32_000)
    threshold = argument(function, arguments, place + 1, "frequency_threshold", int, 5)
    if not 1 <= top_k < MAX_TOP_K:
        raise BqmlError(f"Argument 'top_k' of ML.{function} must be between 1 and {MAX_TOP_K - 1}, got {top_k}.")
    if threshold < 0:
        raise BqmlError(f"Argument 'frequency_threshold' of ML.{function} must not be negative, got {threshold}.")
    return top_k, threshold


def number_array(function: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """A numeric column as float64, NULL = NaN. Raises BqmlError on another type."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if not is_numeric(column.type):
        raise BqmlError(f"ML.{function} takes a numeric expression, got {type_name(column.type)}.")
    return numbers(column, np.nan).astype(np.float64)


def with_nulls(values: npt.NDArray[np.float64], column: pa.ChunkedArray) -> pa.Array:
    """Numbers as FLOAT64, NULL where the column was."""
    if not column.null_count:
        return pa.array(values)
    return pa.array(values, mask=np.asarray(column.is_null()))


def string_column(function: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Raises BqmlError unless the column is STRING."""
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise BqmlError(f"ML.{function} takes a STRING expression, got {type_name(column.type)}.")
    return column.cast(pa.string())


def string_lists(function: str, column: pa.ChunkedArray) -> pa.ListArray:
    """One ARRAY<STRING> array. Raises BqmlError on another type."""
    if not is_list(column.type) or not (
        pa.types.is_string(column.type.value_type)
        or pa.types.is_large_string(column.type.value_type)
        or pa.types.is_null(column.type.value_type)
    ):
        raise BqmlError(f"ML.{function} takes an ARRAY<STRING>, got {type_name(column.type)}.")
    whole = column.cast(pa.list_(pa.string())).combine_chunks()
    return whole if isinstance(whole, pa.ListArray) else pa.concat_arrays(whole.chunks)


def struct_fields(function: str, column: pa.ChunkedArray) -> list[tuple[str, pa.ChunkedArray]]:
    """The named fields of a STRUCT column. Raises BqmlError on unnamed or duplicate ones."""
    if not pa.types.is_struct(column.type):
        raise BqmlError(f"ML.{function} takes a STRUCT, got {type_name(column.type)}.")
    names = [field.name for field in column.type]
    if any(not name for name in names) or len({name.lower() for name in names}) != len(names):
        raise BqmlError(f"ML.{function} takes a STRUCT whose fields are named, each differently.")
    parts = column.flatten()
    return list(zip(names, parts, strict=True))
