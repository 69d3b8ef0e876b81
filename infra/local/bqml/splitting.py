"""Which rows train, which evaluate and (tuning) which test: DATA_SPLIT_METHOD.

A random split depends on each row's content alone, so the same table splits the same way every time, whatever order
it is read in.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .bigquery_types import is_numeric
from .errors import BqmlError
from .options import ModelSpec

Mask = npt.NDArray[np.bool_]

SMALL, LARGE, LARGE_EVAL = 500, 50_000, 10_000
THREADS, BLOCK = 4, 65_536


@dataclass(frozen=True)
class Split:
    """Boolean masks over the rows; ``evaluation`` and ``test`` are None where that set is empty."""

    train: Mask
    evaluation: Mask | None
    test: Mask | None


def split_rows(spec: ModelSpec, data: pa.Table) -> Split:
    """Raises BqmlError on a split column that is missing, of a wrong type, or that leaves no row to train on."""
    n = data.num_rows
    method = spec.value("data_split_method")
    if method == "NO_SPLIT" or (method == "AUTO_SPLIT" and n < SMALL and not spec.tuned):
        return Split(np.ones(n, dtype=bool), None, None)
    if method == "CUSTOM":
        split = _custom(spec, data)
    elif method == "SEQ":
        split = _sequential(spec, data)
    else:
        split = _random(spec, data)
    if not split.train.any():
        raise BqmlError(f"DATA_SPLIT_METHOD = '{method}' leaves no rows to train on.")
    return split


def split_column(spec: ModelSpec, data: pa.Table) -> str | None:
    """The split column as the data spells it (None without one). Raises BqmlError if it is not there."""
    wanted = spec.options.get("data_split_col")
    if wanted is None:
        return None
    for name in data.schema.names:
        if name.lower() == wanted.lower():
            return str(name)
    raise BqmlError(f"Column {wanted!r} of option DATA_SPLIT_COL is not found in the training data.")


def _fractions(spec: ModelSpec) -> tuple[float, float]:
    if not spec.tuned:
        return float(spec.value("data_split_eval_fraction")), 0.0
    return (
        float(spec.options.get("data_split_eval_fraction", 0.1)),
        float(spec.options.get("data_split_test_fraction", 0.1)),
    )


def _random(spec: ModelSpec, data: pa.Table) -> Split:
    n = data.num_rows
    hashes = row_hashes(data)
    if spec.value("data_split_method") == "AUTO_SPLIT" and not spec.tuned and n > LARGE:
        last = np.partition(hashes, LARGE_EVAL - 1)[LARGE_EVAL - 1]
        evaluation = hashes < last
        evaluation[np.flatnonzero(hashes == last)[: LARGE_EVAL - int(evaluation.sum())]] = True
        return Split(~evaluation, evaluation, None)
    eval_fraction, test_fraction = _fractions(spec)
    position = hashes.astype(np.float64) / 2.0**64
    test = position < test_fraction
    evaluation = ~test & (position < test_fraction + eval_fraction)
    return Split(~(test | evaluation), _or_none(evaluation), _or_none(test))


def _custom(spec: ModelSpec, data: pa.Table) -> Split:
    name = split_column(spec, data)
    column = data.column(name)
    if spec.tuned:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise BqmlError(f"Column {name!r} of option DATA_SPLIT_COL must be a STRING of TRAIN, EVAL or TEST.")
        values = np.asarray(pc.utf8_upper(pc.fill_null(column, "EVAL")).to_pylist())
        unknown = set(values) - {"TRAIN", "EVAL", "TEST"}
        if unknown:
            raise BqmlError(f"Column {name!r} of option DATA_SPLIT_COL has the value {min(unknown)!r}.")
        return Split(values == "TRAIN", _or_none(values == "EVAL"), _or_none(values == "TEST"))
    if not pa.types.is_boolean(column.type):
        raise BqmlError(f"Column {name!r} of option DATA_SPLIT_COL must be BOOL for DATA_SPLIT_METHOD = 'CUSTOM'.")
    evaluation = np.asarray(pc.fill_null(column, True)).astype(bool)
    return Split(~evaluation, _or_none(evaluation), None)


def _sequential(spec: ModelSpec, data: pa.Table) -> Split:
    name = split_column(spec, data)
    column = data.column(name)
    if not (is_numeric(column.type) or pa.types.is_temporal(column.type) or pa.types.is_string(column.type)):
        raise BqmlError(f"Column {name!r} of option DATA_SPLIT_COL cannot be ordered for DATA_SPLIT_METHOD = 'SEQ'.")
    # NULL sorts first in BigQuery (Arrow puts it last): the oldest rows, which train.
    order = np.roll(np.asarray(pc.sort_indices(column)), column.null_count)
    n = len(order)
    eval_fraction, test_fraction = _fractions(spec)
    tests, evals = round(n * test_fraction), round(n * eval_fraction)
    train, evaluation, test = (np.zeros(n, dtype=bool) for _ in range(3))
    train[order[: n - tests - evals]] = True
    evaluation[order[n - tests - evals : n - tests]] = True
    test[order[n - tests :]] = True
    return Split(train, _or_none(evaluation), _or_none(test))


def _or_none(mask: Mask) -> Mask | None:
    return mask if mask.any() else None


def in_canonical_order(data: pa.Table) -> pa.Table:
    """The rows in an order that their content alone decides, so that sums over them come out the same to the last bit."""
    if data.num_rows < 2 or not data.num_columns:
        return data
    return data.take(pa.array(np.argsort(row_hashes(data), kind="stable")))


def row_hashes(data: pa.Table) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each row's content; equal rows have equal hashes. Blocks of rows are worked on side by side."""
    columns = [_hasher(data.column(name)) for name in data.schema.names]
    total = np.zeros(data.num_rows, dtype=np.uint64)

    def work(start: int) -> None:
        block = total[start : start + BLOCK]
        for hashes in columns:
            block *= np.uint64(0x9E3779B97F4A7C15)
            block += hashes(start, start + BLOCK)
            _mix(block)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(0, data.num_rows, BLOCK)))
    return total


def _hasher(column: Any) -> Callable[[int, int], npt.NDArray[np.uint64]]:
    """Gives the hashes of a column's rows from one place to another."""
    arrow_type = column.type
    if is_numeric(arrow_type):
        values = np.asarray(column.cast(pa.float64()))

        def hashes(start: int, stop: int) -> npt.NDArray[np.uint64]:
            block = values[start:stop] + 0.0  # -0.0 hashes as 0.0
            block[np.isnan(block)] = np.nan
            return _mix(block.view(np.uint64))

        return hashes
    known = _text_hashes(column)
    return lambda start, stop: known[start:stop]


def _text_hashes(column: Any) -> npt.NDArray[np.uint64]:
    arrow_type = column.type
    if not (pa.types.is_string(arrow_type) or pa.types.is_boolean(arrow_type) or pa.types.is_temporal(arrow_type)) or (
        pa.types.is_interval(arrow_type)
    ):
        # Lists and structs; BYTES, which need not be text; and what is refused as a feature, which must get that far.
        texts = np.array([repr(value) for value in column.to_pylist()], dtype=object)
        return pd.util.hash_array(texts)
    texts = column if pa.types.is_string(arrow_type) else pc.cast(column, pa.string())
    encoded = pc.dictionary_encode(texts).combine_chunks()
    uniques = pd.util.hash_array(np.array(encoded.dictionary.to_pylist(), dtype=object))
    if len(uniques) == 0:
        return np.zeros(len(column), dtype=np.uint64)
    codes = np.asarray(pc.fill_null(encoded.indices, 0)).astype(np.int64)
    hashed = uniques[codes]
    if column.null_count:
        hashed[np.asarray(pc.is_null(column))] = np.uint64(1)
    return hashed


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64, in place: every input bit reaches every output bit."""
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
