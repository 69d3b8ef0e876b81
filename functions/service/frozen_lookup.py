"""Frozen statistics in memory, found by key: sixteen bytes a row, however long the keys.

A table of token frequencies has millions of rows, of which a request needs a hundred. Rows are held as the hash of
their key and their value, sorted by hash; Python's own hash of a text has 64 bits, so that among ten million keys two meet
with a chance of three in a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Joins the parts of a key: Unicode's "unit separator".
JOINT = "\x1f"


class FrozenLookup:
    """One value column of a frozen table by its key.

    Args:
        table: The table.
        key: Its key columns, texts.
        value: The value column, INT64 or FLOAT64.
    """

    def __init__(self, table: pa.Table, key: Sequence[str], value: str) -> None:
        self.type: pa.DataType = table.schema.field(value).type
        parts = zip(*(table.column(c).to_pylist() for c in key), strict=True)
        hashes = np.fromiter(map(hash, map(JOINT.join, parts)), np.int64, table.num_rows)
        order = np.argsort(hashes, kind="stable")
        self._hashes: npt.NDArray[np.int64] = hashes[order]
        values = table.column(value).to_numpy(zero_copy_only=False)
        self._values = values[order]

    def find(self, keys: Sequence[str | None]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """The value of each key, its parts joined by `JOINT`, and whether the table has such a row."""
        wanted = np.fromiter(map(hash, keys), np.int64, len(keys))
        if not len(self._hashes):
            return np.zeros(len(wanted), self._values.dtype), np.zeros(len(wanted), np.bool_)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return self._values[at], self._hashes[at] == wanted

    def __call__(self, keys: pa.ChunkedArray) -> pa.Array:
        """The same over Arrow's columns; NULL where the table has no such row."""
        values, found = self.find(keys.to_pylist())
        return pa.array(values, self.type, mask=~found)
