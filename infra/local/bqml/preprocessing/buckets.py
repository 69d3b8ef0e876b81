"""Values into buckets: ML.BUCKETIZE by given split points, ML.QUANTILE_BUCKETIZE by those of the data, text by its hash."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import BqmlError
from ..fingerprint import farm_fingerprint
from .arguments import argument, number_array, string_column

Params = dict[str, Any]
FORMATS = ("bucket_names", "bucket_ranges", "bucket_ranges_json")


def bucketize(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """The bucket of each number. With ``exclude_boundaries`` the outermost split points do not split."""
    points = argument("BUCKETIZE", arguments, 0, "array_split_points", list, None)
    if not points or any(not isinstance(p, (int, float)) or isinstance(p, bool) for p in points):
        raise BqmlError("Argument 'array_split_points' of ML.BUCKETIZE must be a non-empty array of numbers.")
    if any(left >= right for left, right in itertools.pairwise(points)):
        raise BqmlError("Argument 'array_split_points' of ML.BUCKETIZE must be strictly rising.")
    if argument("BUCKETIZE", arguments, 1, "exclude_boundaries", bool, False):
        points = points[1:-1]
    return _named("BUCKETIZE", column, [float(p) for p in points], _format("BUCKETIZE", arguments, 2))


def fit_quantiles(column: pa.ChunkedArray, arguments: Sequence[Any]) -> Params:
    """The inner quantile boundaries, coinciding ones once."""
    number = argument("QUANTILE_BUCKETIZE", arguments, 0, "num_buckets", int, None)
    if number < 1:
        raise BqmlError(f"Argument 'num_buckets' of ML.QUANTILE_BUCKETIZE must be positive, got {number}.")
    values = np.sort(number_array("QUANTILE_BUCKETIZE", column.drop_null()))
    if not len(values):
        return {"points": []}
    places = np.round(np.linspace(0, len(values) - 1, number + 1)).astype(np.int64)[1:-1]
    return {"points": np.unique(values[places]).tolist()}


def quantile_bucketize(params: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """The quantile bucket of each number."""
    return _named("QUANTILE_BUCKETIZE", column, params["points"], _format("QUANTILE_BUCKETIZE", arguments, 1))


def hash_bucketize(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """The string's fingerprint, unsigned, modulo ``hash_bucket_size``; with a size of 0 the signed fingerprint itself."""
    size = argument("HASH_BUCKETIZE", arguments, 0, "hash_bucket_size", int, None)
    if size < 0:
        raise BqmlError(f"Argument 'hash_bucket_size' of ML.HASH_BUCKETIZE must not be negative, got {size}.")
    hashes = farm_fingerprint(string_column("HASH_BUCKETIZE", column))
    if not size:
        return hashes
    unsigned = np.asarray(hashes.fill_null(0)).view(np.uint64)
    mask = np.asarray(hashes.is_null()) if hashes.null_count else None
    return pa.array((unsigned % np.uint64(size)).astype(np.int64), mask=mask)


def _format(function: str, arguments: Sequence[Any], place: int) -> str:
    said = str(argument(function, arguments, place, "output_format", str, FORMATS[0])).lower()
    if said not in FORMATS:
        raise BqmlError(f"Argument 'output_format' of ML.{function} must be one of {', '.join(FORMATS)}, got {said!r}.")
    return said


def _named(function: str, column: pa.ChunkedArray, points: list[float], output_format: str) -> pa.Array:
    values = number_array(function, column)
    places = np.searchsorted(np.array(points), values, side="right")
    edges = ["-inf", *(number_text(p) for p in points), "+inf"]
    names = [_name(i, edges[i], edges[i + 1], output_format) for i in range(len(points) + 1)]
    mask = np.asarray(column.is_null()) if column.null_count else None
    indices = pa.array(np.minimum(places, len(points)), mask=mask)
    return pa.array(names, pa.string()).take(indices)


def _name(index: int, low: str, high: str, output_format: str) -> str:
    if output_format == "bucket_names":
        return f"bin_{index + 1}"
    if output_format == "bucket_ranges_json":
        endless = {"-inf": "-Infinity", "+inf": "Infinity"}
        return json.dumps({"start": endless.get(low, low), "end": endless.get(high, high)})
    return f"{'(' if low == '-inf' else '['}{low}, {high})"


def number_text(value: float) -> str:
    """A boundary as it is written: no trailing ``.0``."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
