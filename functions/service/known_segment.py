"""A part of the index: known deals in compact arrays, found by their ID, their key or the keys that they share with others.

A part never changes. The large one lies in files that all processes of an instance share; what came since lies in a small one in
memory, which is made anew at each refresh.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from functions.service.engine.columns import Array, Column, runs
from functions.service.engine.relations import Relation
from functions.service.engine.storage import StoredTable
from functions.service.engine.strings import NULL, Codes, Pool, mapped
from functions.service.known_deals import Key
from functions.service.values import DEAL_COLUMNS

# The table of the deals as they came.
RAW = "raw"
# Bits of the rank of a deal in its block, below those of the code of the block's key.
RANK_BITS = 32
_RANK = (1 << RANK_BITS) - 1
_ARRAYS = ("hashes", "by_hash", "deal_keys", "by_rank", "shared", "by_shared")
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- the service's engine holds UTC without a zone


def key_hash(key: Key) -> int:
    """A deal's source and ID as a number."""
    raw = hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).digest()
    return int.from_bytes(raw, "little", signed=True)


@dataclass(frozen=True)
class Around:
    """Where in the blocks of some keys to look.

    Attributes:
        values: By deal that asks, the values in whose order a block stands.
        owners: For each key which of the deals it is of.
        beyond: For each key how many deals before and behind are wanted.
    """

    values: Sequence[Codes]
    owners: Codes
    beyond: Codes


@dataclass(frozen=True)
class AskedKeys:
    """By which keys deals are looked up.

    Attributes:
        codes: The codes of the keys.
        around: Where in their blocks; None where whole blocks are wanted.
    """

    codes: Codes
    around: Around | None = None


@dataclass(frozen=True)
class Segment:
    """Known deals, each with a place from 0 on.

    Attributes:
        hashes: Hashed source and ID, ascending.
        by_hash: The place of each of them.
        deal_keys: By place, what stands for the deal in joins.
        tables: What is kept of them, raw deals among it.
        by_rank: The deals' places in the order in which they stand in a block.
        ranked: The values that make this order, in it.
        shared: The codes of the keys by which deals find each other with the ranks of the deals, ascending.
        by_shared: For each of them the row of the table of keys.
    """

    hashes: Codes
    by_hash: Array
    deal_keys: Codes
    tables: Mapping[str, StoredTable]
    by_rank: Array
    ranked: tuple[Codes, ...]
    shared: Codes
    by_shared: Array

    def __len__(self) -> int:
        return len(self.hashes)

    def places(self, hashes: Codes) -> Codes:
        """Where these deals are, NULL where they are not here."""
        if not len(self) or not len(hashes):
            return np.full(len(hashes), NULL, np.int64)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[at] == hashes, self.by_hash[at].astype(np.int64), NULL)

    def rows(self, name: str, places: Codes, pool: Pool) -> Relation:
        """The rows of a table that belong to the deals at these places."""
        table = self.tables[name]
        rows, sizes = table.rows_of(places)
        return table.relation(rows, pool, Column(np.repeat(self.deal_keys[places], sizes)))

    def sharing(self, name: str, asked: AskedKeys, pool: Pool) -> tuple[Relation, Codes]:
        """The rows of the table of keys with one of these codes, and the places of the deals they belong to."""
        table = self.tables[name]
        at = self._block_rows(asked)
        rows = self.by_shared[at].astype(np.int64)
        owners = self.by_rank[self.shared[at] & _RANK].astype(np.int64)
        return table.relation(rows, pool, Column(self.deal_keys[owners])), owners

    def _block_rows(self, asked: AskedKeys) -> Codes:
        """Where in `shared` the rows are."""
        # A request's own texts are nobody's key yet, and what is missing is none.
        known = (asked.codes >= 0) & (asked.codes <= np.iinfo(np.int32).max)
        codes = asked.codes[known]
        first = np.searchsorted(self.shared, codes << RANK_BITS)
        last = np.searchsorted(self.shared, (codes + 1) << RANK_BITS)
        around = asked.around
        if around is None:
            return runs(first, last - first)
        ranks = self.ranks(around.values)[around.owners[known]]
        middle = np.searchsorted(self.shared, (codes << RANK_BITS) | ranks)
        first = np.maximum(first, middle - around.beyond[known])
        last = np.minimum(last, middle + around.beyond[known])
        # Each row once: what looks around from two places of a block may overlap.
        order = np.argsort(first)
        reached = np.maximum.accumulate(last[order])
        first = np.maximum(first[order], np.concatenate([[0], reached[:-1]]))
        return runs(first, np.maximum(reached - first, 0))

    def ranks(self, values: Sequence[Codes]) -> Codes:
        """How many of the deals stand before one with these values, in the order of the blocks."""
        first = np.zeros(len(values[0]), np.int64)
        last = np.full(len(values[0]), len(self), np.int64)
        for ordered, wanted in zip(self.ranked, values, strict=True):
            for place, (low, high, value) in enumerate(
                zip(first.tolist(), last.tolist(), wanted.tolist(), strict=True)
            ):
                part = ordered[low:high]
                first[place] = low + np.searchsorted(part, value, "left")
                last[place] = low + np.searchsorted(part, value, "right")
        return first

    def deals(self, places: Codes, pool: Pool) -> list[dict[str, Any]]:
        """The deals at these places as raw_deals has them."""
        table = self.tables[RAW]
        columns: dict[str, list[Any]] = {}
        for name, kind in DEAL_COLUMNS.items():
            values = table.column(name, places, pool).to_list()
            if kind.startswith("DECIMAL"):
                values = [None if value is None else Decimal(value) for value in values]
            elif kind == "TIMESTAMP":
                values = [None if value is None else EPOCH + dt.timedelta(microseconds=value) for value in values]
            columns[name] = values
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    @staticmethod
    def read(folder: Path) -> Segment:
        """What was built in a folder, shared with other processes."""
        about = json.loads((folder / "segment.json").read_text())
        arrays = {name: mapped(folder / f"{name}.npy") for name in _ARRAYS}
        tables = {name: StoredTable.read(folder, name) for name in about["tables"]}
        ranked = tuple(mapped(folder / f"ranked-{place}.npy") for place in range(about["ranked"]))
        return Segment(tables=tables, ranked=ranked, **arrays)
