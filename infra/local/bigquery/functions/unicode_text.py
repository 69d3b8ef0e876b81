"""Text functions for what is beyond ASCII; the macros send only such rows here."""

from __future__ import annotations

import threading
import unicodedata
from typing import Any, Literal, cast

import duckdb
import pyarrow as pa

_FORMS = ("NFC", "NFKC", "NFD", "NFKD")
_ALPHABET = [chr(code) for code in range(1, 128)]
_local = threading.local()


def normalize(values: pa.ChunkedArray, forms: pa.ChunkedArray) -> pa.Array:
    """NORMALIZE."""
    return _by_row(values, forms, lambda text, form: unicodedata.normalize(form, text))


def normalize_and_casefold(values: pa.ChunkedArray, forms: pa.ChunkedArray) -> pa.Array:
    """NORMALIZE_AND_CASEFOLD: folded, then normalised again, since folding may undo it."""
    return _by_row(
        values, forms, lambda text, form: unicodedata.normalize(form, unicodedata.normalize(form, text).casefold())
    )


def _by_row(values: pa.ChunkedArray, forms: pa.ChunkedArray, function: Any) -> pa.Array:
    known: dict[tuple[str, str], str] = {}
    results: list[str | None] = []
    for text, form in zip(values.to_pylist(), forms.to_pylist(), strict=True):
        if text is None or form is None:
            results.append(None)
            continue
        key = (text, form.upper())
        if key not in known:
            if key[1] not in _FORMS:
                raise ValueError(f"bqloop:invalidQuery:{form} is no normalization mode")
            known[key] = function(text, cast("Literal['NFC', 'NFKC', 'NFD', 'NFKD']", key[1]))
        results.append(known[key])
    return pa.array(results, pa.string())


def edit_distance(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.Array:
    """The Levenshtein distance in code points: each pair spelt in ASCII letters of its own, then DuckDB's for all."""
    ours: list[str | None] = []
    theirs: list[str | None] = []
    odd: dict[int, int] = {}
    for place, (a, b) in enumerate(zip(left.to_pylist(), right.to_pylist(), strict=True)):
        letters = None if a is None or b is None else dict.fromkeys(a + b)
        if letters is not None and len(letters) > len(_ALPHABET):
            odd[place] = _levenshtein(a, b)
            letters = None
        if letters is None:
            ours.append(None)
            theirs.append(None)
            continue
        table = {ord(letter): ascii_letter for letter, ascii_letter in zip(letters, _ALPHABET, strict=False)}
        ours.append(a.translate(table))
        theirs.append(b.translate(table))
    pairs = pa.table({"a": pa.array(ours, pa.string()), "b": pa.array(theirs, pa.string())})
    connection = _connection()
    connection.register("pairs", pairs)
    distances = connection.execute("SELECT levenshtein(a, b)::BIGINT AS d FROM pairs").to_arrow_table().column("d")
    connection.unregister("pairs")
    if odd:
        values = distances.to_pylist()
        for place, distance in odd.items():
            values[place] = distance
        return pa.array(values, pa.int64())
    return distances.combine_chunks()


def _connection() -> duckdb.DuckDBPyConnection:
    """A database of this thread's own: the one that calls is busy with the query that calls."""
    connection: duckdb.DuckDBPyConnection | None = getattr(_local, "connection", None)
    if connection is None:
        connection = _local.connection = duckdb.connect(config={"threads": 1})
    return connection


def _levenshtein(a: str, b: str) -> int:
    """For pairs of more different letters than ASCII has."""
    previous = list(range(len(b) + 1))
    for row, letter in enumerate(a, 1):
        current = [row]
        for column, other in enumerate(b, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (letter != other)))
        previous = current
    return previous[-1]
