"""Texts into numbers by a vocabulary.

Index 0 is everything outside of it (and NULL); the rest counts from 1, in the order of the alphabet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BqmlError
from ..vocabulary import by_frequency, places
from .arguments import argument, string_column, string_lists, vocabulary_limits

Params = dict[str, Any]
INDEXED = pa.struct([("index", pa.int64()), ("value", pa.float64())])


def vocabulary(values: Any, top_k: int, frequency_threshold: int) -> list[tuple[str, int]]:
    """The ``top_k`` most frequent texts that occur at least ``frequency_threshold`` times, most frequent first."""
    return [pair for pair in by_frequency(values) if pair[1] >= frequency_threshold][:top_k]


def indices(values: Any, words: Sequence[str]) -> npt.NDArray[np.int64]:
    """Each text's index: 1 and up in the vocabulary, 0 outside."""
    return places(values, words) + 1


def fit_one_hot(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The vocabulary; ``drop`` = 'most_frequent' leaves the most frequent text out of it (dummy encoding)."""
    drop = str(argument("ONE_HOT_ENCODER", arguments, 0, "drop", str, "none")).lower()
    if drop not in ("none", "most_frequent"):
        raise BqmlError(f"Argument 'drop' of ML.ONE_HOT_ENCODER must be 'none' or 'most_frequent', got {drop!r}.")
    top_k, threshold = vocabulary_limits("ONE_HOT_ENCODER", arguments, 1)
    words = [word for word, _ in vocabulary(string_column("ONE_HOT_ENCODER", column), top_k, threshold)]
    return {"words": sorted(words[1:] if drop == "most_frequent" else words)}


def one_hot_encoder(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """One ``{index, value 1}`` a row."""
    index = indices(string_column("ONE_HOT_ENCODER", column), params["words"])
    pairs = pa.StructArray.from_arrays([pa.array(index), pa.array(np.ones(len(index)))], fields=list(INDEXED))
    return pa.ListArray.from_arrays(pa.array(np.arange(len(index) + 1, dtype=np.int32)), pairs)


def fit_label(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The vocabulary."""
    top_k, threshold = vocabulary_limits("LABEL_ENCODER", arguments, 0)
    words = vocabulary(string_column("LABEL_ENCODER", column), top_k, threshold)
    return {"words": sorted(word for word, _ in words)}


def label_encoder(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """The index alone."""
    return pa.array(indices(string_column("LABEL_ENCODER", column), params["words"]))


def fit_multi_hot(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The vocabulary of the elements of all arrays."""
    top_k, threshold = vocabulary_limits("MULTI_HOT_ENCODER", arguments, 0)
    words = vocabulary(pc.list_flatten(string_lists("MULTI_HOT_ENCODER", column)), top_k, threshold)
    return {"words": sorted(word for word, _ in words)}


def multi_hot_encoder(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """``{index, value 1}`` of each element that a row has, once, by rising index; a NULL array is the unknown one."""
    lists = string_lists("MULTI_HOT_ENCODER", column)
    row, index = row_indices(lists, params["words"])
    nulls = np.flatnonzero(np.asarray(pc.is_null(lists)))
    keys = np.unique((np.r_[row, nulls] * (len(params["words"]) + 1)) + np.r_[index, np.zeros(len(nulls), np.int64)])
    row, index = np.divmod(keys, len(params["words"]) + 1)
    return indexed_lists(row, index, np.ones(len(index)), len(lists))


def row_indices(lists: pa.ListArray, words: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The row and the vocabulary index of every element."""
    row = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    return row, indices(pc.list_flatten(lists), words)


def indexed_lists(
    row: npt.NDArray[np.int64],
    index: npt.NDArray[np.int64],
    value: npt.NDArray[np.float64],
    rows: int,
    mask: Any = None,
) -> pa.Array:
    """ARRAY<STRUCT<index, value>> of pairs that are sorted by row."""
    pairs = pa.StructArray.from_arrays([pa.array(index), pa.array(value)], fields=list(INDEXED))
    offsets = np.r_[0, np.cumsum(np.bincount(row, minlength=rows))].astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pairs, mask=mask)
