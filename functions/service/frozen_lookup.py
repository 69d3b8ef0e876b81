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

from functions.service.policy import Lookup

# Joins the parts of a key: Unicode's "unit separator".
JOINT = "\x1f"


class FrozenLookup:
    """A frozen table by its key. Built once a version: all ways of computing its features look up here.

    Args:
        table: The table; besides its key columns, texts, INT64 and FLOAT64.
        lookup: Which columns are its key, and which keys are wanted at every request.

    Attributes:
        names: All its columns, in their order.
        types: Arrow's type of each value column.
        of: The run table whose rows are looked up.
        key: Its key columns.
        always: Keys that are wanted at every request.
    """

    def __init__(self, table: pa.Table, lookup: Lookup) -> None:
        self.names: Sequence[str] = table.column_names
        self.of, self.key = lookup.of, lookup.key
        self.always = [tuple(row[name] for name in lookup.key) for row in lookup.always]
        self.types: dict[str, pa.DataType] = {f.name: f.type for f in table.schema if f.name not in lookup.key}
        parts = zip(*(table.column(c).to_pylist() for c in lookup.key), strict=True)
        hashes = np.fromiter(map(hash, map(JOINT.join, parts)), np.int64, table.num_rows)
        order = np.argsort(hashes, kind="stable")
        self._hashes: npt.NDArray[np.int64] = hashes[order]
        self._values = {name: table.column(name).to_numpy(zero_copy_only=False)[order] for name in self.types}

    def find(self, keys: Sequence[tuple[str | None, ...]]) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]:
        """Which of the keys the table has, by their places, and the values of these by column."""
        at, there = self._rows([None if None in key else JOINT.join(key) for key in keys])  # type: ignore[arg-type]  # no None is left
        places = np.flatnonzero(there)
        return places, {name: values[at[places]] for name, values in self._values.items()}

    def column(self, name: str, keys: pa.ChunkedArray) -> pa.Array:
        """A value column for Arrow's keys, their parts joined by `JOINT`; NULL where the table has no such row."""
        at, there = self._rows(keys.to_pylist())
        values = self._values[name][at] if len(self._hashes) else np.zeros(len(at), self._values[name].dtype)
        return pa.array(values, self.types[name], mask=~there)

    def _rows(self, keys: Sequence[str | None]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """A row for each key, and whether it is the key's."""
        wanted = np.fromiter(map(hash, keys), np.int64, len(keys))
        if not len(self._hashes):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
        at = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return at, self._hashes[at] == wanted
