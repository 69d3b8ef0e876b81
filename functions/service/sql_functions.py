"""The functions of BigQuery that DuckDB lacks, or means otherwise beyond ASCII, for a DuckDB connection.

They work on Arrow columns, a batch a call. `functions.service.translation` sends only text here that has characters beyond
ASCII, for which a call into Python is worth it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Literal

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from functions.service.fingerprint import farm_fingerprint

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Teach a connection's database the functions that `translation.to_duckdb` writes."""
    add_function(connection, "farm_fingerprint", _each(farm_fingerprint, pa.int64()), 1, "BIGINT")
    add_function(connection, "lower_unicode", _each(str.lower, pa.string()), 1, "VARCHAR")
    for form in _FORMS:
        name = form.lower()
        add_function(connection, f"normalize_{name}", _each(_normalizer(form), pa.string()), 1, "VARCHAR")
        add_function(connection, f"casefold_{name}", _each(_casefolder(form), pa.string()), 1, "VARCHAR")
    add_function(connection, "edit_distance", _edit_distances, 2, "BIGINT")


def edit_distance(a: str, b: str) -> int:
    """Fewest insertions, deletions and replacements of code points that make `b` of `a`.

    >>> edit_distance("größe", "grosse")
    3
    """
    if len(a) < len(b):
        a, b = b, a
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = (
                row[j],
                diagonal if char == other else 1 + min(diagonal, row[j], row[j - 1]),
            )
    return row[-1]


def _normalizer(form: Form) -> Callable[[str], str]:
    return lambda text: unicodedata.normalize(form, text)


def _casefolder(form: Form) -> Callable[[str], str]:
    # ICU's order, which BigQuery follows: fold what is normalised already, and normalise again.
    return lambda text: unicodedata.normalize(form, unicodedata.normalize(form, text).casefold())


def _each(function: Callable[[str], Any], kind: pa.DataType) -> Callable[[pa.ChunkedArray], pa.Array]:
    def batch(texts: pa.ChunkedArray) -> pa.Array:
        return pa.array([None if text is None else function(text) for text in texts.to_pylist()], kind)

    return batch


def _edit_distances(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.Array:
    pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
    return pa.array([None if a is None or b is None else edit_distance(a, b) for a, b in pairs], pa.int64())


def add_function(
    connection: duckdb.DuckDBPyConnection, name: str, function: Callable[..., Any], arguments: int, gives: str
) -> None:
    """Add a function over that many Arrow columns of text; it is called for NULLs too."""
    connection.create_function(
        name,
        function,
        ["VARCHAR"] * arguments,
        gives,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )
