"""Rows of equal keys side by side, as NumPy's `reduceat` wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from functions.service.engine.columns import Column
from functions.service.engine.relations import key_hashes, key_of
from functions.service.engine.strings import Codes


@dataclass(frozen=True)
class Groups:
    """Rows by group.

    Attributes:
        order: The rows' places, group by group; None where they lie so already.
        starts: Where in that order each group begins.
        count: Rows in all.
    """

    order: Codes | None
    starts: Codes
    count: int

    @property
    def firsts(self) -> Codes:
        """The place of a row of each group."""
        return self.starts if self.order is None else self.order[self.starts]

    @property
    def sizes(self) -> Codes:
        """Rows of each group."""
        return np.diff(self.starts, append=self.count)

    def of_rows(self) -> Codes:
        """The group of each row."""
        groups = np.repeat(np.arange(len(self.starts), dtype=np.int64), self.sizes)
        if self.order is None:
            return groups
        found = np.empty(self.count, np.int64)
        found[self.order] = groups
        return found


def grouped(keys: Sequence[Column], count: int) -> Groups:
    """Rows by their keys; NULL is equal to NULL. Groups come in the order of their first rows where rows lie together."""
    if count == 0:
        return Groups(None, np.zeros(0, np.int64), 0)
    if not keys:
        return Groups(None, np.zeros(1, np.int64), count)
    parts = []
    for key in keys:
        values, null = key_of(key.spread(count))
        parts.append((values if null is None else np.where(null, 0, values), None))
        if null is not None:
            parts.append((null.astype(np.int64), None))
    hashed = key_hashes(parts)
    starts = np.flatnonzero(np.concatenate(([True], hashed[1:] != hashed[:-1])))
    if len(set(hashed[starts].tolist())) == len(starts):
        return Groups(None, starts, count)
    order = np.argsort(hashed, kind="stable")
    ordered = hashed[order]
    return Groups(order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))), count)
