"""Numeric Arrow columns as NumPy arrays, without a copy where nothing has to change."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


def numbers(column: pa.ChunkedArray, fill: float) -> npt.NDArray[Any]:
    """A numeric column as NumPy, NULL filled; no copy where there is nothing to change."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if column.null_count:
        if not pa.types.is_floating(column.type):
            column = column.cast(pa.float64())
        column = pc.fill_null(column, pa.scalar(fill, column.type))
    if column.num_chunks == 1:
        return np.asarray(column.chunk(0).to_numpy(zero_copy_only=False))
    return np.asarray(column.to_numpy())
