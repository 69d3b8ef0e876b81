"""What data look like and whether they have moved: ML.DESCRIBE_DATA, ML.VALIDATE_DATA_SKEW, ML.VALIDATE_DATA_DRIFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..bigquery_types import is_list
from ..columns import CATEGORY, MULTI, NUMERIC, SPARSE, VECTOR, as_text, kind_of
from ..errors import BqmlError
from ..model import Model
from ..numbers import numbers
from ..statistics import numeric_summary, profile_columns, profile_of
from .arguments import checked
from .divergence import jensen_shannon_of_counts, jensen_shannon_of_histograms, l_infinity
from .streaming import Data, as_table

L_INFTY, JENSEN_SHANNON = "L_INFTY", "JENSEN_SHANNON_DIVERGENCE"
DEFAULT_THRESHOLD = 0.3

VALIDATION: Mapping[str, type | tuple[type, ...]] = {
    "categorical_default_threshold": float,
    "categorical_metric_type": str,
    "numerical_default_threshold": float,
    "numerical_metric_type": str,
    "thresholds": (list, tuple),
}
BUCKETS: Mapping[str, tuple[int, int]] = {
    "num_histogram_buckets": (10, 1_000),
    "num_quantiles_histogram_buckets": (10, 1_000),
    "num_values_histogram_buckets": (10, 1_000),
    "num_rank_histogram_buckets": (50, 10_000),
}
"""Default and greatest number of buckets of each kind; the least is 1."""


def validate_data_skew(model: Model, data: Data, options: Mapping[str, Any]) -> pa.Table:
    """The distance of each feature from what the model was trained on; columns that are no features are left out."""
    settings = checked("VALIDATE_DATA_SKEW", options, {**VALIDATION, "enable_visualization_link": bool})
    if settings.get("enable_visualization_link"):
        raise BqmlError("Setting 'enable_visualization_link' of ML.VALIDATE_DATA_SKEW is not carried out here.")
    serving = profile_columns(model.aligned(as_table(data)), wanted=model.profiles)
    if not serving:
        raise BqmlError("The input data of ML.VALIDATE_DATA_SKEW have no feature column of the model.")
    return _compared("VALIDATE_DATA_SKEW", [(n, model.profiles[n], p) for n, p in serving.items()], settings)


def validate_data_drift(base: Data, study: Data, options: Mapping[str, Any]) -> pa.Table:
    """The distance between two tables, column by column; columns that only one has are left out."""
    settings = checked("VALIDATE_DATA_DRIFT", options, {**VALIDATION, **dict.fromkeys(BUCKETS, int)})
    for name, (_, most) in BUCKETS.items():
        if not 1 <= settings.get(name, 1) <= most:
            raise BqmlError(f"Setting {name!r} of ML.VALIDATE_DATA_DRIFT must be between 1 and {most}.")
    first, second = as_table(base), as_table(study)
    buckets = settings.get("num_histogram_buckets", BUCKETS["num_histogram_buckets"][0])
    ranks = settings.get("num_rank_histogram_buckets", BUCKETS["num_rank_histogram_buckets"][0])
    before = profile_columns(first, buckets=buckets)
    after = profile_columns(second, wanted=before, buckets=buckets)
    pairs = [(name, before[name], after[name]) for name in before if name in after]
    return _compared("VALIDATE_DATA_DRIFT", pairs, settings, ranks)


def _compared(
    function: str,
    pairs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]],
    settings: Mapping[str, Any],
    ranks: int = BUCKETS["num_rank_histogram_buckets"][0],
) -> pa.Table:
    categorical = str(settings.get("categorical_metric_type", L_INFTY)).upper()
    numerical = str(settings.get("numerical_metric_type", JENSEN_SHANNON)).upper()
    if categorical not in (L_INFTY, JENSEN_SHANNON):
        raise BqmlError(f"Setting 'categorical_metric_type' of ML.{function} must be {L_INFTY} or {JENSEN_SHANNON}.")
    if numerical != JENSEN_SHANNON:
        raise BqmlError(f"Setting 'numerical_metric_type' of ML.{function} must be {JENSEN_SHANNON}.")
    limits = {
        kind: settings.get(f"{kind}_default_threshold", DEFAULT_THRESHOLD) for kind in ("categorical", "numerical")
    }
    for kind, limit in limits.items():
        if not 0.0 <= limit < 1.0:
            raise BqmlError(f"Setting '{kind}_default_threshold' of ML.{function} must be in [0, 1), got {limit}.")
    own = _own_thresholds(function, settings.get("thresholds", []), {name for name, _, _ in pairs})
    rows: list[tuple[str, str, float, float | None, bool]] = []
    for name, base, study in pairs:
        if base["kind"] != study["kind"]:
            raise BqmlError(
                f"Column {name!r} is {base['kind']} in one of the data sets and {study['kind']} in the other."
            )
        limit = own.get(name, limits[base["kind"]])
        if base["kind"] == "numerical":
            metric, value = numerical, jensen_shannon_of_histograms(base, study)
        else:
            metric = categorical
            distance = l_infinity if categorical == L_INFTY else jensen_shannon_of_counts
            value = distance(base, study, ranks)
        rows.append((name, metric, limit, value, value is not None and value > limit))
    columns = ("input", "metric", "threshold", "value", "is_anomaly")
    types = (pa.string(), pa.string(), pa.float64(), pa.float64(), pa.bool_())
    return pa.table({n: pa.array([row[i] for row in rows], types[i]) for i, n in enumerate(columns)})


def _own_thresholds(function: str, given: Any, known: set[str]) -> dict[str, float]:
    own: dict[str, float] = {}
    for item in given:
        name, limit = list(item.values()) if isinstance(item, Mapping) else item
        if name not in known:
            raise BqmlError(
                f"Setting 'thresholds' of ML.{function} names {name!r}, which is not a column of both data sets."
            )
        if not 0.0 <= float(limit) < 1.0:
            raise BqmlError(f"Setting 'thresholds' of ML.{function}: the threshold of {name!r} must be in [0, 1).")
        own[str(name)] = float(limit)
    return own


DESCRIPTION: Mapping[str, pa.DataType] = {
    "name": pa.string(),
    "num_rows": pa.int64(),
    "num_nulls": pa.int64(),
    "num_zeros": pa.int64(),
    "min": pa.string(),
    "max": pa.string(),
    "mean": pa.float64(),
    "stddev": pa.float64(),
    "median": pa.float64(),
    "quantiles": pa.list_(pa.float64()),
    "unique": pa.int64(),
    "avg_string_length": pa.float64(),
    "num_values": pa.int64(),
    "top_values": pa.list_(pa.struct([("value", pa.string()), ("count", pa.int64())])),
    "min_array_length": pa.int64(),
    "max_array_length": pa.int64(),
    "avg_array_length": pa.float64(),
    "total_array_length": pa.int64(),
    "array_length_quantiles": pa.list_(pa.int64()),
    "dimension": pa.int64(),
}


def describe_data(data: Data, options: Mapping[str, Any]) -> pa.Table:
    """A row a column: what its values look like. Arrays are described by their elements and their lengths."""
    bounds = {"num_quantiles": (2, 2, 100_000), "num_array_length_quantiles": (10, 1, 100_000), "top_k": (1, 1, 10_000)}
    settings = checked("DESCRIBE_DATA", options, dict.fromkeys(bounds, int))
    values = {}
    for name, (default, least, most) in bounds.items():
        values[name] = settings.get(name, default)
        if not least <= values[name] <= most:
            raise BqmlError(f"Setting {name!r} of ML.DESCRIBE_DATA must be between {least} and {most}.")
    table = as_table(data)
    rows = [_described(name, table.column(name), **values) for name in table.schema.names]
    return pa.table({n: pa.array([row.get(n) for row in rows], t) for n, t in DESCRIPTION.items()})


def _described(
    name: str, column: pa.ChunkedArray, num_quantiles: int, num_array_length_quantiles: int, top_k: int
) -> dict[str, Any]:
    kind = kind_of(name, column.type) if not pa.types.is_struct(column.type) else None
    row: dict[str, Any] = {"name": name, "num_rows": len(column), "num_nulls": column.null_count, "top_values": []}
    if kind is None:
        raise BqmlError(f"Column {name!r} of type STRUCT is not supported by ML.DESCRIBE_DATA.")
    row["quantiles"], row["array_length_quantiles"] = [], []
    if is_list(column.type):
        lengths = np.asarray(pc.list_value_length(column.drop_null())).astype(np.int64)
        if len(lengths):
            row |= {
                "min_array_length": int(lengths.min()),
                "max_array_length": int(lengths.max()),
                "avg_array_length": float(lengths.mean()),
                "total_array_length": int(lengths.sum()),
                "array_length_quantiles": [int(q) for q in quantiles(lengths, num_array_length_quantiles)],
            }
        column = pc.list_flatten(column)
        if kind == SPARSE:
            index = pc.max(pc.struct_field(column, [0])).as_py()
            row["dimension"] = int(index) + 1 if index is not None else 0
            column = pc.struct_field(column, [1])
        column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    present = column.drop_null()
    row["num_values"] = len(present)
    if kind in (NUMERIC, VECTOR, SPARSE):
        row |= _numbers_described(present, num_quantiles)
    elif kind in (CATEGORY, MULTI):
        row |= _categories_described(present, top_k)
    return row


def _numbers_described(column: pa.ChunkedArray, num_quantiles: int) -> dict[str, Any]:
    values = numbers(column, 0.0)
    if not len(values):
        return {"num_zeros": 0}
    summary = numeric_summary(values)
    least, most = pc.min(column).as_py(), pc.max(column).as_py()
    return {
        "num_zeros": int((values == 0).sum()),
        "min": _number_text(least),
        "max": _number_text(most),
        "mean": summary["mean"],
        "stddev": summary["stddev"],
        "median": summary["median"],
        "quantiles": [float(q) for q in quantiles(values, num_quantiles)],
    }


def _number_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _categories_described(column: pa.ChunkedArray, top_k: int) -> dict[str, Any]:
    text = as_text(column)
    if not len(text):
        return {"unique": 0}
    counts = profile_of(CATEGORY, text)["counts"]
    described: dict[str, Any] = {
        "min": pc.min(text).as_py(),
        "max": pc.max(text).as_py(),
        "unique": len(pc.unique(text)),
        "top_values": [{"value": v, "count": c} for v, c in list(counts.items())[:top_k]],
    }
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        described["avg_string_length"] = float(pc.mean(pc.utf8_length(text)).as_py())
    return described


def quantiles(values: Any, number: int) -> Any:
    """``number + 1`` boundaries, values of the data themselves, as APPROX_QUANTILES gives them."""
    ordered = np.sort(values)
    return ordered[np.round(np.linspace(0, len(ordered) - 1, number + 1)).astype(np.int64)]
