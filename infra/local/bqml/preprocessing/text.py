"""Token arrays into features: ML.NGRAMS, ML.BAG_OF_WORDS, ML.TF_IDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BqmlError
from .arguments import argument, string_lists, vocabulary_limits
from .encoders import indexed_lists, row_indices, vocabulary

Params = dict[str, Any]


def ngrams(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """All runs of ``range[0]`` to ``range[1]`` tokens, in the order in which they begin, shorter ones first."""
    single = arguments and isinstance(arguments[0], int) and not isinstance(arguments[0], bool)
    sizes = [arguments[0]] * 2 if single else argument("NGRAMS", arguments, 0, "range", list, None)
    if len(sizes) != 2 or any(not isinstance(s, int) for s in sizes) or not 1 <= sizes[0] <= sizes[1]:
        raise BqmlError("Argument 'range' of ML.NGRAMS must be two positive INT64, the smaller first.")
    separator = argument("NGRAMS", arguments, 1, "separator", str, " ")
    least, most = sizes
    out: list[list[str] | None] = []
    for tokens in string_lists("NGRAMS", column).to_pylist():
        if tokens is None:
            out.append(None)
            continue
        words = [word for word in tokens if word is not None]
        out.append(
            [
                separator.join(words[start : start + size])
                for start in range(len(words))
                for size in range(least, most + 1)
                if start + size <= len(words)
            ]
        )
    return pa.array(out, pa.list_(pa.string()))


def fit_bag_of_words(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The vocabulary: terms by the number of documents that have them."""
    return {"words": _words("BAG_OF_WORDS", string_lists("BAG_OF_WORDS", column), arguments)}


def bag_of_words(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """``{index, value}``: how often a document has each term; index 0 counts the unknown ones."""
    lists = string_lists("BAG_OF_WORDS", column)
    row, index, count = _counts(lists, params["words"])
    return indexed_lists(row, index, count, len(lists), _nulls(lists))


def fit_tf_idf(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The vocabulary and each index's inverse document frequency, ``ln(1 + documents / (1 + documents with it))``."""
    lists = string_lists("TF_IDF", column)
    words = _words("TF_IDF", lists, arguments)
    _, index, _ = _counts(lists, words)
    documents = len(lists) - lists.null_count
    having = np.bincount(index, minlength=len(words) + 1)
    return {"words": words, "idf": np.log(1.0 + documents / (1.0 + having)).tolist()}


def tf_idf(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """``{index, value}``: the term's share of the document times its inverse document frequency."""
    lists = string_lists("TF_IDF", column)
    row, index, count = _counts(lists, params["words"])
    lengths = np.bincount(row, weights=count, minlength=len(lists))
    value = count / lengths[row] * np.array(params["idf"])[index]
    return indexed_lists(row, index, value, len(lists), _nulls(lists))


def _words(function: str, lists: pa.ListArray, arguments: Sequence[Any]) -> list[str]:
    top_k, threshold = vocabulary_limits(function, arguments, 0)
    flat = pc.list_flatten(lists)
    encoded = pc.dictionary_encode(flat)
    row = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    codes = np.asarray(pc.fill_null(encoded.indices, -1)).astype(np.int64)
    known = codes >= 0
    pairs = np.unique(row[known] * (len(encoded.dictionary) + 1) + codes[known])
    once = encoded.dictionary.take(pa.array(pairs % (len(encoded.dictionary) + 1)))
    return sorted(word for word, _ in vocabulary(once, top_k, threshold))


def _counts(
    lists: pa.ListArray, words: Sequence[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Row, index and number of each term that a row has, by row and index."""
    row, index = row_indices(lists, words)
    keys, count = np.unique(row * (len(words) + 1) + index, return_counts=True)
    rows, indices = np.divmod(keys, len(words) + 1)
    return rows, indices, count.astype(np.float64)


def _nulls(lists: pa.ListArray) -> Any:
    return pc.is_null(lists) if lists.null_count else None
