"""Numbers onto another scale, and NULLs filled. NULL stays NULL but in ML.IMPUTER. Deviations are of the population."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..bigquery_types import is_list, is_numeric, type_name
from ..errors import BqmlError
from ..vocabulary import by_frequency
from .arguments import argument, number_array, string_column, with_nulls

Params = dict[str, Any]
Floats = npt.NDArray[np.float64]
STRATEGIES = ("mean", "median", "most_frequent")


def _present(function: str, column: pa.ChunkedArray) -> Floats:
    return number_array(function, column.drop_null())


def fit_standard(column: pa.ChunkedArray, _: Sequence[Any]) -> Params:
    """Mean and population deviation."""
    values = _present("STANDARD_SCALER", column)
    return {"mean": float(values.mean()), "std": float(values.std())} if len(values) else {"mean": 0.0, "std": 0.0}


def standard_scaler(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """(x - mean) / deviation; 0 for a constant column."""
    centred = number_array("STANDARD_SCALER", column) - params["mean"]
    return with_nulls(centred / params["std"] if params["std"] else centred * 0.0, column)


def fit_min_max(column: pa.ChunkedArray, _: Sequence[Any]) -> Params:
    """Smallest and largest value."""
    values = _present("MIN_MAX_SCALER", column)
    return {"min": float(values.min()), "max": float(values.max())} if len(values) else {"min": 0.0, "max": 0.0}


def min_max_scaler(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """0 at the smallest, 1 at the largest, capped beyond them; 0 for a constant column."""
    low, span = params["min"], params["max"] - params["min"]
    values = number_array("MIN_MAX_SCALER", column) - low
    return with_nulls(np.clip(values / span, 0.0, 1.0) if span else np.where(values > 0, 1.0, 0.0), column)


def fit_max_abs(column: pa.ChunkedArray, _: Sequence[Any]) -> Params:
    """Largest magnitude."""
    values = _present("MAX_ABS_SCALER", column)
    return {"max_abs": float(np.abs(values).max()) if len(values) else 0.0}


def max_abs_scaler(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> pa.Array:
    """x divided by the largest magnitude."""
    values = number_array("MAX_ABS_SCALER", column)
    return with_nulls(values / params["max_abs"] if params["max_abs"] else values, column)


def fit_robust(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """Median and the two quantiles (25 and 75 by default)."""
    quantile_range = argument("ROBUST_SCALER", arguments, 0, "quantile_range", list, [25, 75])
    if len(quantile_range) != 2 or not 0 <= quantile_range[0] < quantile_range[1] <= 100:
        raise BqmlError("Argument 'quantile_range' of ML.ROBUST_SCALER must be two rising percentiles in [0, 100].")
    values = np.sort(_present("ROBUST_SCALER", column))
    if not len(values):
        return {"median": 0.0, "low": 0.0, "high": 0.0}
    low, median, high = (
        float(values[round((len(values) - 1) * p / 100.0)]) for p in (quantile_range[0], 50, quantile_range[1])
    )
    return {"median": median, "low": low, "high": high}


def robust_scaler(params: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """(x - median) / (upper quantile - lower quantile), each part as the flags want it."""
    with_median = argument("ROBUST_SCALER", arguments, 1, "with_median", bool, True)
    with_range = argument("ROBUST_SCALER", arguments, 2, "with_quantile_range", bool, True)
    values = number_array("ROBUST_SCALER", column)
    if with_median:
        values = values - params["median"]
    span = params["high"] - params["low"]
    return with_nulls(values / span if with_range and span else values, column)


def normalizer(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """Each array divided by its p-norm (p 0: the number of non-zero elements; infinity: the largest magnitude)."""
    p = argument("NORMALIZER", arguments, 0, "p", float, 2.0)
    if not (p == 0.0 or p >= 1.0):
        raise BqmlError(f"Argument 'p' of ML.NORMALIZER must be 0, at least 1 or +inf, got {p}.")
    if not is_list(column.type) or not is_numeric(column.type.value_type):
        raise BqmlError(f"ML.NORMALIZER takes an ARRAY of numbers, got {type_name(column.type)}.")
    lists = column.cast(pa.list_(pa.float64())).combine_chunks()
    flat = np.asarray(pc.fill_null(pc.list_flatten(lists), np.nan))
    row = np.asarray(pc.list_parent_indices(lists)).astype(np.int64)
    size = np.abs(flat)
    if np.isinf(p):
        norm = np.zeros(len(lists))
        np.maximum.at(norm, row, size)
    elif p == 0.0:
        norm = np.bincount(row, weights=(size != 0).astype(np.float64), minlength=len(lists)).astype(np.float64)
    else:
        norm = np.bincount(row, weights=size**p, minlength=len(lists)) ** (1.0 / p)
    norms = norm[row]
    scaled = np.divide(flat, norms, out=flat.copy(), where=norms != 0)
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0)).astype(np.int32)
    offsets = pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
    mask = pc.is_null(lists) if lists.null_count else None
    return pa.ListArray.from_arrays(offsets, pa.array(scaled), mask=mask)


def fit_imputer(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The value that NULL becomes: mean, median or the most frequent (of several, the smallest)."""
    strategy = str(argument("IMPUTER", arguments, 0, "strategy", str, None)).lower()
    if strategy not in STRATEGIES:
        raise BqmlError(f"Argument 'strategy' of ML.IMPUTER must be one of {', '.join(STRATEGIES)}, got {strategy!r}.")
    if strategy == "most_frequent":
        if not is_numeric(column.type):
            column = string_column("IMPUTER", column)
        best = next((value for value, _ in by_frequency(column)), None)
        return {"fill": float(best) if best is not None and is_numeric(column.type) else best}
    values = np.sort(_present("IMPUTER", column))
    if not len(values):
        return {"fill": None}
    return {"fill": float(values.mean() if strategy == "mean" else values[(len(values) - 1) // 2])}


def imputer(params: Params, column: pa.ChunkedArray, _: Sequence[Any]) -> Any:
    """The column with NULL filled, FLOAT64 or STRING."""
    if is_numeric(column.type):
        own = with_nulls(number_array("IMPUTER", column), column)
        return own if params["fill"] is None else pc.fill_null(own, float(params["fill"]))
    text = string_column("IMPUTER", column)
    return text if params["fill"] is None else pc.fill_null(text, str(params["fill"]))
