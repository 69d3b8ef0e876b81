"""What is remembered of the training data: the rows of ML.FEATURE_INFO and the distributions that skew is measured by."""

from __future__ import annotations

from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .columns import CATEGORY, MULTI, NUMERIC, SPARSE, VECTOR, Input, as_text, inputs_of
from .errors import BqmlError
from .numbers import numbers
from .vocabulary import by_frequency

THREADS = 4
MAX_CATEGORIES = 10_000


def profile_inputs(
    data: pa.Table, features: list[str], rows: pa.Array | None
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """FEATURE_INFO rows and profiles of all features, in order. Columns are worked on side by side."""
    inputs = inputs_of(data, features, rows)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(_one, inputs))
    statistics = [row for row, _ in found]
    profiles = {item.name: profile for item, (_, profile) in zip(inputs, found, strict=True)}
    return statistics, profiles


def profile_columns(
    data: pa.Table, left_out: Sequence[str] = (), wanted: Container[str] | None = None, buckets: int = 10
) -> dict[str, dict[str, Any]]:
    """Profiles of a table's columns by input name; columns of types that are no features are left out.

    ``wanted``: only these inputs.
    """
    hidden = {name.lower() for name in left_out}
    inputs: list[Input] = []
    for name in data.schema.names:
        if name.lower() in hidden:
            continue
        try:
            inputs.extend(i for i in inputs_of(data, [name]) if wanted is None or i.name in wanted)
        except BqmlError:
            continue
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda item: profile_of(item.kind, item.values(), buckets), inputs)
        return dict(zip((item.name for item in inputs), found, strict=True))


def _one(item: Input) -> tuple[dict[str, Any], dict[str, Any]]:
    column = item.values()
    row: dict[str, Any] = dict.fromkeys(("min", "max", "mean", "median", "stddev", "category_count", "dimension"))
    row["input"], row["null_count"] = item.name, column.null_count
    if item.kind == NUMERIC:
        values = numbers(column.drop_null(), 0.0)
        row.update(numeric_summary(values))
    elif item.kind in (VECTOR, SPARSE):
        lengths = pc.list_value_length(column.drop_null())
        row["dimension"] = int(pc.max(lengths).as_py() or 0) if len(lengths) else 0
        if item.kind == SPARSE:
            index = pc.max(pc.struct_field(pc.list_flatten(column), [0])).as_py()
            row["dimension"] = int(index) + 1 if index is not None else 0
    else:
        row["category_count"] = len(pc.unique((pc.list_flatten(column) if item.kind == MULTI else column).drop_null()))
    return row, profile_of(item.kind, column)


def numeric_summary(values: Any) -> dict[str, float]:
    """Smallest, largest, mean, median and population deviation of numbers without NULL."""
    if not len(values):
        return {}
    middle = (len(values) - 1) // 2
    median = np.partition(values, middle)[middle]
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(np.mean(values, dtype=np.float64)),
        "median": float(median),
        "stddev": float(np.std(values, dtype=np.float64)),
    }


def profile_of(kind: str, column: pa.ChunkedArray, buckets: int = 10) -> dict[str, Any]:
    """A JSON-able picture of a column's distribution: equal-width buckets of numbers, counts of categories."""
    if kind in (CATEGORY, MULTI):
        flat = pc.list_flatten(column) if kind == MULTI else column
        pairs = by_frequency(as_text(flat))
        return {"kind": "categorical", "counts": dict(pairs[:MAX_CATEGORIES]), "total": sum(c for _, c in pairs)}
    flat = column
    if kind == VECTOR:
        flat = pc.list_flatten(column)
    elif kind == SPARSE:
        flat = pc.struct_field(pc.list_flatten(column), [1])
    flat = flat if isinstance(flat, pa.ChunkedArray) else pa.chunked_array([flat])
    values = numbers(flat.drop_null(), 0.0)
    if pa.types.is_floating(flat.type):
        values = values[np.isfinite(values)]  # what is asked about may hold NaN; training data cannot
    if not len(values):
        return {"kind": "numerical", "edges": [], "counts": []}
    low, high = float(values.min()), float(values.max())
    # Values that differ in their last digits alone are one value: there is no room for edges between them.
    is_wide = low + (high - low) / (2 * buckets) > low
    counts, edges = np.histogram(values, bins=buckets, range=(low, high if is_wide else low + 1.0))
    if not is_wide:
        edges = np.linspace(low, low, buckets + 1)
    return {"kind": "numerical", "edges": edges.tolist(), "counts": counts.tolist()}
