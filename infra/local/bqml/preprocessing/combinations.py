"""Features out of several: ML.FEATURE_CROSS of texts, ML.POLYNOMIAL_EXPAND of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BqmlError
from .arguments import argument, number_array, string_column, struct_fields

Params = dict[str, Any]
MAX_FEATURES = 10


def feature_cross(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """A field for each combination of 2 up to ``degree`` features, its value theirs joined by ``_``."""
    degree = argument("FEATURE_CROSS", arguments, 0, "degree", int, 2)
    if not 2 <= degree <= 4:
        raise BqmlError(f"Argument 'degree' of ML.FEATURE_CROSS must be between 2 and 4, got {degree}.")
    fields = [(name, string_column("FEATURE_CROSS", part)) for name, part in struct_fields("FEATURE_CROSS", column)]
    if len(fields) < 2:
        raise BqmlError("ML.FEATURE_CROSS takes a STRUCT of at least two features.")
    names, parts = [], []
    for size in range(2, degree + 1):
        for chosen in itertools.combinations(fields, size):
            names.append("_".join(name for name, _ in chosen))
            parts.append(pc.binary_join_element_wise(*(part for _, part in chosen), "_").combine_chunks())
    return pa.StructArray.from_arrays(parts, names=names)


def polynomial_expand(_: Params, column: pa.ChunkedArray, arguments: Sequence[Any]) -> pa.Array:
    """A field for each product of 1 up to ``degree`` features, repeats included: ``a, a_a, a_b, b, b_b``."""
    degree = argument("POLYNOMIAL_EXPAND", arguments, 0, "degree", int, 2)
    if not 1 <= degree <= 4:
        raise BqmlError(f"Argument 'degree' of ML.POLYNOMIAL_EXPAND must be between 1 and 4, got {degree}.")
    fields = struct_fields("POLYNOMIAL_EXPAND", column)
    if len(fields) > MAX_FEATURES:
        raise BqmlError(f"ML.POLYNOMIAL_EXPAND takes at most {MAX_FEATURES} features, got {len(fields)}.")
    values = [number_array("POLYNOMIAL_EXPAND", part) for _, part in fields]
    nulls = [np.asarray(part.is_null()) for _, part in fields]
    names, parts = [], []
    for places in _products(len(fields), degree):
        names.append("_".join(fields[place][0] for place in places))
        product = np.prod([values[place] for place in places], axis=0)
        parts.append(pa.array(product, mask=np.logical_or.reduce([nulls[place] for place in places])))
    return pa.StructArray.from_arrays(parts, names=names)


def _products(features: int, degree: int, start: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Places of non-falling order, each before those that it begins."""
    for place in range(start[-1] if start else 0, features):
        found = (*start, place)
        yield found
        if len(found) < degree:
            yield from _products(features, degree, found)
