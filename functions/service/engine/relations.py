"""Tables, and the rows that a FROM puts together. A column is made when somebody asks for it, and then once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from functions.service.engine.columns import Array, Column, EngineError, Mask, TextColumn, joined, runs
from functions.service.engine.strings import NULL, Codes, Pool

# A column is made whole unless it is asked for in fewer than one of so many of its rows.
_FEW = 2
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Relation:
    """A table.

    Args:
        count: Rows.
        makers: Makes each column, or has it.
    """

    def __init__(self, count: int, makers: Mapping[str, Column | Callable[[], Column]]) -> None:
        self.count = count
        self.names = tuple(makers)
        self._makers = dict(makers)
        self._sorted: dict[tuple[str, ...], tuple[Array, Codes, bool]] = {}

    def column(self, name: str) -> Column:
        """A column, as long as the table."""
        made = self._makers[name]
        if not isinstance(made, Column):
            made = made()
            if len(made) != self.count:
                made = made.spread(self.count)
            self._makers[name] = made
        return made

    def column_at(self, name: str, places: Codes) -> Column:
        """The values of a column in some rows: of few rows alone, where each value follows from its own row."""
        made = self._makers[name]
        if isinstance(made, RowWise) and _FEW * len(places) < self.count:
            return made.at(places)
        return self.column(name).take(places)

    def take(self, places: Codes) -> Relation:
        """The rows at these places."""
        return Relation(len(places), {name: _Taken(self, name, places) for name in self.names})

    def sorted_by(self, names: Sequence[str]) -> tuple[Array, Codes, bool]:
        """The rows' hashed keys in ascending order, the place of each, and whether each is there once; kept for the next join."""
        known = self._sorted.get(tuple(names))
        if known is None:
            hashed = key_hashes([key_of(self.column(name)) for name in names])
            order = np.argsort(hashed, kind="stable")
            ordered = hashed[order]
            known = self._sorted[tuple(names)] = (ordered, order, not (ordered[1:] == ordered[:-1]).any())
        return known

    def rows(self) -> list[dict[str, Any]]:
        """The table as Python's own values."""
        columns = [self.column(name).to_list() for name in self.names]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]


class RowWise(ABC):
    """Makes a column each of whose values follows from its own row."""

    __slots__ = ()

    @abstractmethod
    def __call__(self) -> Column:
        """The whole column."""

    @abstractmethod
    def at(self, places: Codes) -> Column:
        """Its values in these rows."""


class _Taken(RowWise):
    """A column of some rows of a table."""

    __slots__ = ("name", "places", "relation")

    def __init__(self, relation: Relation, name: str, places: Codes) -> None:
        self.relation = relation
        self.name = name
        self.places = places

    def __call__(self) -> Column:
        return self.relation.column_at(self.name, self.places)

    def at(self, places: Codes) -> Column:
        return self.relation.column_at(self.name, self.places[places])


def union(parts: Sequence[Relation]) -> Relation:
    """Tables one under the other; columns pair up by place."""
    if len(parts) == 1:
        return parts[0]
    makers = {name: partial(_stacked, parts, place) for place, name in enumerate(parts[0].names)}
    return Relation(sum(part.count for part in parts), makers)


def _stacked(parts: Sequence[Relation], place: int) -> Column:
    return joined(
        [part.column(part.names[place]) for part in parts if part.count] or [parts[0].column(parts[0].names[place])]
    )


def key_of(column: Column) -> tuple[Array, Mask | None]:
    """Whole numbers that are equal where the values are, and where they are NULL."""
    if isinstance(column, TextColumn):
        codes = column.codes
        missing = codes == NULL
        return codes, missing if missing.any() else None
    values = column.values
    if values.dtype == np.bool_ or values.dtype.kind == "M":
        values = values.astype(np.int64)
    elif values.dtype == np.float64:
        values = (values + 0.0).view(np.int64)  # -0.0 and 0.0 are equal
    elif values.dtype != np.int64:
        raise EngineError(f"keys of type {values.dtype}")
    return values, column.null


def key_hashes(keys: Sequence[tuple[Array, Mask | None]]) -> Array:
    """One number for all keys of a row; one key is its own."""
    if len(keys) == 1:
        return keys[0][0]
    mixed = np.zeros(len(keys[0][0]), np.uint64)
    for values, _ in keys:
        mixed = (mixed ^ values.view(np.uint64)) * _ODD
        mixed ^= mixed >> np.uint64(29)
    return mixed.view(np.int64)


class Frame:
    """Rows that were put together of the rows of several tables.

    Args:
        count: Rows.
        pool: The pool of the request's texts.
        sources: By alias a table, which of its rows stands in each of the frame's (None: each at its place), and where
            a left join found none.
    """

    def __init__(
        self, count: int, pool: Pool, sources: Mapping[str, tuple[Relation, Codes | None, Mask | None]]
    ) -> None:
        self.count = count
        self.pool = pool
        self.sources = sources
        self.memo: dict[Hashable, Any] = {}
        self._columns: dict[tuple[str, str], Column] = {}

    def column(self, alias: str, name: str) -> Column:
        """A column of one of the tables, a value for each of the frame's rows."""
        known = self._columns.get((alias, name))
        if known is None:
            relation, places, missing = self.sources[alias]
            if places is None:
                known = relation.column(name)
            elif relation.count == 0:
                known = _nothing(relation.column(name), self.count, self.pool)
            else:
                known = relation.column_at(name, places)
                if missing is not None:
                    known = known.hidden(missing)
            self._columns[alias, name] = known
        return known

    def column_at(self, alias: str, name: str, places: Codes) -> Column:
        """The values of such a column in some of the frame's rows."""
        relation, mine, missing = self.sources[alias]
        if (alias, name) in self._columns or missing is not None or relation.count == 0:
            return self.column(alias, name).take(places)
        return relation.column_at(name, places if mine is None else mine[places])

    def take(self, places: Codes) -> Frame:
        """The rows at these places."""
        sources = {
            alias: (
                relation,
                places if mine is None else mine[places],
                None if missing is None else missing[places],
            )
            for alias, (relation, mine, missing) in self.sources.items()
        }
        return Frame(len(places), self.pool, sources)

    def beside(self, alias: str, relation: Relation) -> Frame:
        """Its rows, each beside the one row of another table."""
        places = np.zeros(self.count, np.int64)
        return Frame(self.count, self.pool, {**self.sources, alias: (relation, places, None)})

    def with_source(
        self, alias: str, relation: Relation, mine: Codes, places: Codes, missing: Mask | None = None
    ) -> Frame:
        """Its rows `mine`, each beside the row of another table at `places`."""
        frame = self.take(mine)
        return Frame(len(mine), self.pool, {**frame.sources, alias: (relation, places, missing)})


def _nothing(like: Column, count: int, pool: Pool) -> Column:
    if isinstance(like, TextColumn):
        return TextColumn(pool, codes=np.full(count, NULL, np.int64))
    return Column(np.zeros(count, like.values.dtype), np.ones(count, np.bool_))


def matches(left: Sequence[Column], relation: Relation, names: Sequence[str], count: int) -> tuple[Codes, Codes]:
    """The places of rows with equal keys: of the left's rows in their order, and of the table's.

    Args:
        left: The key columns of the left side.
        relation: The right side.
        names: Its key columns.
        count: Rows of the left side.
    """
    keys = [key_of(column.spread(count)) for column in left]
    hashed = key_hashes(keys)
    ordered, order, is_unique = relation.sorted_by(names)
    first = np.searchsorted(ordered, hashed, "left")
    if is_unique:
        at = np.minimum(first, len(ordered) - 1)
        mine = np.flatnonzero(ordered[at] == hashed) if len(ordered) else np.zeros(0, np.int64)
        places = order[at[mine]]
    else:
        sizes = np.searchsorted(ordered, hashed, "right") - first
        mine = np.repeat(np.arange(count, dtype=np.int64), sizes)
        places = order[runs(first, sizes)]
    good: Mask | None = None
    for (values, null), name in zip(keys, names, strict=True):
        others, other_null = key_of(relation.column(name))
        if len(names) > 1:  # equal hashes are not yet equal keys
            good = _both(good, values[mine] == others[places])
        if null is not None:
            good = _both(good, ~null[mine])
        if other_null is not None:
            good = _both(good, ~other_null[places])
    if good is None or good.all():
        return mine, places
    return mine[good], places[good]


def _both(one: Mask | None, other: Mask) -> Mask:
    return other if one is None else one & other
