"""Tables of known deals in compact arrays: one after the other by deal, in memory or in files that processes share.

A column with few distinct values holds a byte or two a row and the values once; a text holds its code in four bytes. A million
deals with their words, sequences and keys take two gigabytes, of which a request touches some pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from functions.service.engine.columns import Array, Column, EngineError, TextColumn, runs
from functions.service.engine.grouping import grouped
from functions.service.engine.relations import Relation, RowWise
from functions.service.engine.stores import Growing, Store
from functions.service.engine.strings import Codes, Pool, mapped

# Stands for the deal in all joins; it is the same for all rows of a deal, and so kept once.
DEAL_KEY = "deal_key"
_FEW = 65_536
# Rows that are looked at at once when a table is packed.
_AT_ONCE = 2_000_000


class StoredTable:
    """One table, its rows in the order of the deals they belong to.

    Args:
        arrays: By column the values, or their places among `<column>.values`.
        kinds: By column `text`, or anything else.
        starts: Where the rows of each deal begin, and at the end their number.
    """

    def __init__(self, arrays: Mapping[str, Array], kinds: Mapping[str, str], starts: Codes) -> None:
        self._arrays = arrays
        self._kinds = kinds
        self.starts = starts

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns, that of the deal's key left out."""
        return tuple(self._kinds)

    def rows_of(self, deals: Codes) -> tuple[Codes, Codes]:
        """The places of the rows of these deals, one deal after the other, and how many each has."""
        firsts = self.starts[deals].astype(np.int64)
        sizes = self.starts[deals + 1].astype(np.int64) - firsts
        return runs(firsts, sizes), sizes

    def column(self, name: str, rows: Codes, pool: Pool) -> Column:
        """A column of the rows at these places."""
        null = self._arrays.get(f"{name}.null")
        values = self._arrays[name][rows]
        distinct = self._arrays.get(f"{name}.values")
        if distinct is not None:
            values = distinct[values]
        if self._kinds[name] == "text":
            return TextColumn(pool, codes=values.astype(np.int64))
        if values.dtype.kind in "iu":
            values = values.astype(np.int64)
        return Column(values, None if null is None else null[rows])

    def relation(self, rows: Codes, pool: Pool, keys: Column | None = None) -> Relation:
        """The rows at these places as a table; `keys` are the keys of their deals."""
        makers: dict[str, Column | Callable[[], Column]] = {} if keys is None else {DEAL_KEY: keys}
        for name in self._kinds:
            makers[name] = _Later(self, name, rows, pool)
        return Relation(len(rows), makers)

    def raw(self, name: str, rows: Codes | None = None) -> Array:
        """The values of a column of whole numbers or texts, as they are kept; of all rows, or of those at some places."""
        values = self._arrays[name] if rows is None else self._arrays[name][rows]
        distinct = self._arrays.get(f"{name}.values")
        found: Array = values if distinct is None else distinct[values]
        return found

    def distinct(self, names: Sequence[str], pool: Pool) -> Relation:
        """The different rows of some columns; of one column that few values fill, they are known already."""
        if len(names) == 1 and f"{names[0]}.values" in self._arrays and f"{names[0]}.null" not in self._arrays:
            values = np.asarray(self._arrays[f"{names[0]}.values"])
            made = (
                TextColumn(pool, codes=values.astype(np.int64)) if self._kinds[names[0]] == "text" else Column(values)
            )
            return Relation(len(values), {names[0]: made})
        rows = np.arange(int(self.starts[-1]))
        whole = self.relation(rows, pool)
        groups = grouped([whole.column(name) for name in names], len(rows))
        found = Relation(len(rows), {name: whole.column(name) for name in names})
        return found.take(groups.firsts)

    @staticmethod
    def read(folder: Path, name: str) -> StoredTable:
        """What a writer kept in a folder, shared with other processes."""
        about = json.loads((folder / f"{name}.json").read_text())
        arrays = {c: mapped(folder / f"{name}-{c}.npy") for c in about["arrays"]}
        return StoredTable(arrays, about["kinds"], mapped(folder / f"{name}-starts.npy"))


class _Later(RowWise):
    """A column of some rows, read when somebody asks."""

    __slots__ = ("name", "pool", "rows", "table")

    def __init__(self, table: StoredTable, name: str, rows: Codes, pool: Pool) -> None:
        self.table = table
        self.name = name
        self.rows = rows
        self.pool = pool

    def __call__(self) -> Column:
        return self.table.column(self.name, self.rows, self.pool)

    def at(self, places: Codes) -> Column:
        return self.table.column(self.name, self.rows[places], self.pool)


class TableWriter:
    """Collects the rows of one table, batch by batch, each batch those of the next deals.

    Args:
        store: Takes them.
        name: The table.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._values: dict[str, Growing] = {}
        self._nulls: dict[str, Growing] = {}
        self._kinds: dict[str, str] = {}
        self._sizes: list[Array] = []

    def add(self, relation: Relation, owners: Codes, deals: int) -> None:
        """Add the rows of the next `deals` deals.

        Args:
            relation: The rows; texts of the pool that the index keeps.
            owners: Which of the deals each row belongs to, from 0.
            deals: How many deals.
        """
        order = np.argsort(owners, kind="stable")
        self._sizes.append(np.bincount(owners, minlength=deals).astype(np.int32))
        for name in relation.names:
            if name == DEAL_KEY:
                continue
            column = relation.column(name).take(order)
            if isinstance(column, TextColumn):
                self._kinds[name] = "text"
                values, null = column.codes.astype(np.int32), None
            else:
                self._kinds.setdefault(name, "")
                values, null = column.values, column.null
                if values.dtype == object:
                    raise EngineError(f"the column {name} of decimals in an index")
            known = self._values.get(name) or self._values.setdefault(name, self._growing(name))
            self._add_nulls(name, known.count, len(values), null)
            known.add(values)

    def table(self) -> StoredTable:
        """The table of all rows."""
        arrays: dict[str, Array] = {}
        for name, growing in self._values.items():
            arrays |= _packed(self._store, f"{self._name}-{name}", name, growing.whole())
            growing.drop()
        for name, growing in self._nulls.items():
            arrays[f"{name}.null"] = self._store.keep(f"{self._name}-{name}.null", growing.whole())
            growing.drop()
        sizes = np.concatenate(self._sizes) if self._sizes else np.zeros(0, np.int32)
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        self._store.describe(self._name, {"kinds": self._kinds, "arrays": list(arrays)})
        return StoredTable(arrays, self._kinds, self._store.keep(f"{self._name}-starts", starts))

    def _growing(self, name: str) -> Growing:
        return self._store.growing(f"{self._name}-{name}")

    def _add_nulls(self, name: str, before: int, count: int, null: Array | None) -> None:
        """Where NULL, kept only for columns that have any."""
        known = self._nulls.get(name)
        if known is None and (null is None or not null.any()):
            return
        if known is None:
            known = self._nulls[name] = self._growing(f"{name}.null")
            known.add(np.zeros(before, np.bool_))
        known.add(np.zeros(count, np.bool_) if null is None else null)


def _packed(store: Store, path: str, name: str, values: Array) -> dict[str, Array]:
    """A column where it stays; one with few values as places among them."""
    distinct = _few_values(values)
    kind = values.dtype if distinct is None else np.uint8 if len(distinct) <= 256 else np.uint16
    kept = store.array(path, kind, len(values))
    for first in range(0, len(values), _AT_ONCE):
        part = values[first : first + _AT_ONCE]
        kept[first : first + _AT_ONCE] = part if distinct is None else np.searchsorted(distinct, part)
    if distinct is None:
        return {name: kept}
    return {name: kept, f"{name}.values": store.keep(f"{path}.values", distinct)}


def _few_values(values: Array) -> Array | None:
    """The different values, ascending; None where they are not worth it."""
    if values.dtype == np.bool_ or len(values) < 1_000:
        return None
    if len(np.unique(values[:: max(1, len(values) // 100_000)])) > _FEW // 2:
        return None
    found = values[:0]
    for first in range(0, len(values), _AT_ONCE):
        found = np.union1d(found, values[first : first + _AT_ONCE])
        if len(found) > _FEW:
            return None
    return found
