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
from functions.service.engine.relations import Relation
from functions.service.engine.strings import Codes, Pool, mapped

# Stands for the deal in all joins; it is the same for all rows of a deal, and so kept once.
DEAL_KEY = "deal_key"
_FEW = 65_536


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
            makers[name] = _later(self, name, rows, pool)
        return Relation(len(rows), makers)

    def raw(self, name: str) -> Array:
        """The values of a column of whole numbers or texts, as they are kept."""
        values = self._arrays[name]
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

    def write(self, folder: Path, name: str) -> None:
        """Keep it in a folder."""
        for column, values in self._arrays.items():
            np.save(folder / f"{name}-{column}.npy", values)
        np.save(folder / f"{name}-starts.npy", self.starts)
        (folder / f"{name}.json").write_text(json.dumps({"kinds": dict(self._kinds), "arrays": list(self._arrays)}))

    @staticmethod
    def read(folder: Path, name: str) -> StoredTable:
        """What `write` kept, shared with other processes."""
        about = json.loads((folder / f"{name}.json").read_text())
        arrays = {c: mapped(folder / f"{name}-{c}.npy") for c in about["arrays"]}
        return StoredTable(arrays, about["kinds"], mapped(folder / f"{name}-starts.npy"))


def _later(table: StoredTable, name: str, rows: Codes, pool: Pool) -> Callable[[], Column]:
    return lambda: table.column(name, rows, pool)


class TableWriter:
    """Collects the rows of one table, batch by batch, each batch those of the next deals."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Array]] = {}
        self._nulls: dict[str, list[Array]] = {}
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
        self._sizes.append(np.bincount(owners, minlength=deals))
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
            self._parts.setdefault(name, []).append(values)
            self._nulls.setdefault(name, []).append(np.zeros(len(values), np.bool_) if null is None else null)

    def table(self) -> StoredTable:
        """The table of all rows."""
        arrays: dict[str, Array] = {}
        for name in self._kinds:
            values = np.concatenate(self._parts.pop(name))
            null = np.concatenate(self._nulls.pop(name))
            arrays |= _packed(name, values)
            if null.any():
                arrays[f"{name}.null"] = null
        sizes = np.concatenate(self._sizes) if self._sizes else np.zeros(0, np.int64)
        return StoredTable(arrays, self._kinds, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def _packed(name: str, values: Array) -> dict[str, Array]:
    """A column with few values as places among them."""
    if values.dtype == np.bool_ or len(values) < 1_000:
        return {name: values}
    sample = np.unique(values[:: max(1, len(values) // 100_000)])
    if len(sample) > _FEW // 2:
        return {name: values}
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) > _FEW:
        return {name: values}
    return {name: places.astype(np.uint8 if len(distinct) <= 256 else np.uint16), f"{name}.values": distinct}
