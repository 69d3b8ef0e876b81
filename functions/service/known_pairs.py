"""Pairs of known deals that were compared before, and by what each of them is ranked among its rivals.

What a pair is ranked by follows from its own two deals. So it is computed once, when the index is built, and a request computes it for
the pairs with its new deals alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from functions.service.engine.columns import Array, Column, runs
from functions.service.engine.relations import Relation
from functions.service.engine.storage import StoredTable
from functions.service.engine.stores import Store
from functions.service.engine.strings import Codes, Pool, mapped
from functions.service.values import Pair

# The columns by which a run table names the deals of a pair.
SIDES = ("left_key", "right_key")
RANKED = "ranked"


@dataclass(frozen=True)
class KnownPairs:
    """Pairs of the deals of a segment.

    Attributes:
        left: The place of the deal whose source and ID sort first, ascending.
        right: The place of the other one.
        starts: By place where the pairs begin in which the deal is left.
        by_right: The pairs in the order of their right deals.
        right_starts: By place where in that order the pairs begin in which the deal is right.
        ranked: By pair what it is ranked by; None where that is computed at each request.
    """

    left: Array
    right: Array
    starts: Codes
    by_right: Array
    right_starts: Codes
    ranked: StoredTable | None

    @staticmethod
    def none(deals: int) -> KnownPairs:
        """No pairs of so many deals."""
        return KnownPairs.of(np.zeros(0, np.int32), np.zeros(0, np.int32), deals)

    @staticmethod
    def of(left: Array, right: Array, deals: int, ranked: StoredTable | None = None) -> KnownPairs:
        """Pairs in the order of their left deals."""
        by_right = np.argsort(right, kind="stable").astype(np.int32)
        starts, right_starts = (
            np.concatenate([[0], np.cumsum(np.bincount(side, minlength=deals))]).astype(np.int64)
            for side in (left, right)
        )
        return KnownPairs(left, right, starts, by_right, right_starts, ranked)

    def keep(self, store: Store) -> KnownPairs:
        """The same in a store."""
        return KnownPairs(
            store.keep("pairs-left", self.left),
            store.keep("pairs-right", self.right),
            store.keep("pairs-starts", self.starts),
            store.keep("pairs-by-right", self.by_right),
            store.keep("pairs-right-starts", self.right_starts),
            self.ranked,
        )

    @staticmethod
    def read(folder: Path) -> KnownPairs:
        """What was kept in a folder, shared with other processes."""
        ranked = StoredTable.read(folder, RANKED) if (folder / f"{RANKED}.json").exists() else None
        left, right, starts, by_right, right_starts = (
            mapped(folder / f"pairs-{name}.npy") for name in ("left", "right", "starts", "by-right", "right-starts")
        )
        return KnownPairs(left, right, starts, by_right, right_starts, ranked)

    def rows_of(self, places: Codes) -> Codes:
        """The pairs in which one of these deals is."""
        as_left = runs(self.starts[places], self.starts[places + 1] - self.starts[places])
        first = self.right_starts[places]
        as_right = self.by_right[runs(first, self.right_starts[places + 1] - first)].astype(np.int64)
        return np.unique(np.concatenate([as_left, as_right]))

    def relation(self, rows: Codes, deal_keys: Codes, names: Sequence[str], pool: Pool) -> Relation:
        """What these pairs are ranked by, with its columns in this order."""
        assert self.ranked is not None  # noqa: S101 -- nobody asks where it is not kept
        kept = self.ranked.relation(rows, pool)
        made: dict[str, Column | Callable[[], Column]] = {}
        for name in names:
            side = {SIDES[0]: self.left, SIDES[1]: self.right}.get(name)
            made[name] = partial(kept.column, name) if side is None else Column(deal_keys[side[rows]])
        return Relation(len(rows), made)


class Rivals(Set[Pair]):
    """The rivals of some pairs. Who they are is looked up when somebody wants to know.

    Args:
        rows: Those of which it is known by what they are ranked, by their places among the index's known pairs.
        others: The others.
        names: Gives source and ID of both deals of `rows`.
    """

    def __init__(self, rows: Codes, others: Iterable[Pair], names: Callable[[Codes], Iterable[Pair]]) -> None:
        self.rows = rows
        self.others = frozenset(others)
        self._names = names

    @classmethod
    def _from_iterable(cls, pairs: Iterable[Pair]) -> Set[Pair]:  # type: ignore[override]  # what is left has no rows
        return frozenset(pairs)

    def __or__(self, more: Iterable[Pair]) -> Rivals:  # type: ignore[override]  # pairs alone
        """These and more."""
        return Rivals(self.rows, self.others.union(more), self._names)

    @cached_property
    def _all(self) -> frozenset[Pair]:
        return self.others.union(self._names(self.rows))

    def __contains__(self, pair: object) -> bool:
        return pair in self._all

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
