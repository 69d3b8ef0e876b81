"""A part of the index: known deals in compact arrays, found by their ID, their key or the keys that they share with others.

A part never changes. The large one lies in files that all processes of an instance share; what came since lies in a small one in
memory, which is made anew at each refresh.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.columns import Array, Column, TextColumn, column_of, runs
from functions.service.engine.relations import Relation
from functions.service.engine.storage import DEAL_KEY, StoredTable, TableWriter
from functions.service.engine.strings import NULL, Codes, Pool, mapped
from functions.service.known_deals import Key
from functions.service.values import DEAL_COLUMNS, Deal

# Deals whose tables are made at once.
_BATCH = 2_000
_RAW = "raw"
Work = TypeVar("Work")
Made = TypeVar("Made")
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- the service's engine holds UTC without a zone


def key_hash(key: Key) -> int:
    """A deal's source and ID as a number."""
    raw = hashlib.blake2b("\x1f".join(key).encode(), digest_size=8).digest()
    return int.from_bytes(raw, "little", signed=True)


@dataclass(frozen=True)
class Segment:
    """Known deals, each with a place from 0 on.

    Attributes:
        hashes: Hashed source and ID, ascending.
        by_hash: The place of each of them.
        deal_keys: By place, what stands for the deal in joins.
        tables: What is kept of them, raw deals among it.
        shared: The codes of the keys by which deals find each other, ascending.
        by_shared: For each of them the row of the table of keys.
    """

    hashes: Codes
    by_hash: Array
    deal_keys: Codes
    tables: Mapping[str, StoredTable]
    shared: Array
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

    def sharing(self, name: str, codes: Codes, pool: Pool) -> tuple[Relation, Codes]:
        """The rows of the table of keys with one of these codes, and the places of the deals they belong to."""
        # Of the same type: NumPy would else copy the larger array at each request. A request's own texts are nobody's yet.
        wanted = codes[codes <= np.iinfo(self.shared.dtype).max].astype(self.shared.dtype)
        first = np.searchsorted(self.shared, wanted, "left")
        sizes = np.searchsorted(self.shared, wanted, "right") - first
        rows = self.by_shared[runs(first.astype(np.int64), sizes.astype(np.int64))].astype(np.int64)
        table = self.tables[name]
        owners = np.searchsorted(table.starts, rows, "right").astype(np.int64) - 1
        return table.relation(rows, pool, Column(self.deal_keys[owners])), owners

    def deals(self, places: Codes, pool: Pool) -> list[dict[str, Any]]:
        """The deals at these places as raw_deals has them."""
        table = self.tables[_RAW]
        columns: dict[str, list[Any]] = {}
        for name, kind in DEAL_COLUMNS.items():
            values = table.column(name, places, pool).to_list()
            if kind.startswith("DECIMAL"):
                values = [None if value is None else Decimal(value) for value in values]
            elif kind == "TIMESTAMP":
                values = [None if value is None else _EPOCH + dt.timedelta(microseconds=value) for value in values]
            columns[name] = values
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def write(self, folder: Path) -> None:
        """Keep it in a folder."""
        for name in ("hashes", "by_hash", "deal_keys", "shared", "by_shared"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        for name, table in self.tables.items():
            table.write(folder, name)
        (folder / "tables.json").write_text(json.dumps(list(self.tables)))

    @staticmethod
    def read(folder: Path) -> Segment:
        """What `write` kept, shared with other processes."""
        arrays = {
            name: mapped(folder / f"{name}.npy") for name in ("hashes", "by_hash", "deal_keys", "shared", "by_shared")
        }
        names = json.loads((folder / "tables.json").read_text())
        return Segment(tables={name: StoredTable.read(folder, name) for name in names}, **arrays)


def build(features: CompiledFeatures, deals: Iterable[Deal], pool: Pool, processes: int = 1) -> Segment:
    """Make a segment.

    Args:
        features: The version's SQL.
        deals: The deals, each once.
        pool: Takes their texts.
        processes: How many make tables side by side.
    """
    policy = features.serving.candidates
    writers = {name: TableWriter() for name in (*_names(features), _RAW)}
    hashes: list[int] = []
    keys: list[Array] = []
    for batch in side_by_side(lambda some: _batch(features, some), _batches(deals), processes):
        codes = pool.intern(batch.texts)
        for name, (relation, owners) in batch.tables.items():
            writers[name].add(_in_pool(relation, codes, pool), owners, len(batch.deal_keys))
        hashes += batch.hashes
        keys.append(batch.deal_keys)
    tables = {name: writer.table() for name, writer in writers.items()}
    by_id = np.array(hashes, np.int64)
    order = np.argsort(by_id, kind="stable")
    shared = tables[policy.keys].raw(policy.key).astype(np.int32) if len(by_id) else np.zeros(0, np.int32)
    by_shared = np.argsort(shared, kind="stable")
    return Segment(
        hashes=by_id[order],
        by_hash=order.astype(np.int32),
        deal_keys=np.concatenate(keys) if keys else np.zeros(0, np.int64),
        tables=tables,
        shared=shared[by_shared],
        by_shared=by_shared.astype(np.int32 if len(shared) < 2**31 else np.int64),
    )


@dataclass(frozen=True)
class _Batch:
    """Some deals' tables, their texts by the codes of a pool of their own.

    Attributes:
        texts: The texts, each at its code.
        tables: By name the columns, values and NULLs (of texts the codes), and which deal each row belongs to.
        deal_keys: What stands for each deal in joins.
        hashes: Hashed source and ID of each.
    """

    texts: Sequence[str]
    tables: Mapping[str, tuple[Mapping[str, tuple[bool, Array, Array | None]], Array]]
    deal_keys: Array
    hashes: list[int]


def _names(features: CompiledFeatures) -> list[str]:
    return sorted({*features.of_deals, *features.serving.candidates.indexed})


def _batch(features: CompiledFeatures, deals: Sequence[Deal]) -> _Batch:
    arriving = features.arriving(deals)
    clean = arriving.table(features.serving.candidates.indexed[0])
    found = list(zip(clean.column("source").to_list(), clean.column("deal_id").to_list(), strict=True))
    mine = clean.column(DEAL_KEY).values
    order = np.argsort(mine)
    tables = {}
    for name in _names(features):
        relation = arriving.table(name)
        owners = order[np.searchsorted(mine[order], relation.column(DEAL_KEY).values)]
        tables[name] = (_plain(relation), owners)
    by_key = {(deal["source"], deal["deal_id"]): deal for deal in deals}
    raw = _raw([by_key[key] for key in found], arriving.pool)
    tables[_RAW] = (_plain(raw), np.arange(len(mine)))
    return _Batch(arriving.pool.texts, tables, mine, [key_hash(key) for key in found])


def _plain(relation: Relation) -> dict[str, tuple[bool, Array, Array | None]]:
    columns: dict[str, tuple[bool, Array, Array | None]] = {}
    for name in relation.names:
        column = relation.column(name)
        if isinstance(column, TextColumn):
            columns[name] = (True, column.codes, None)
        elif name != DEAL_KEY:
            columns[name] = (False, column.values, column.null)
    return columns


def _in_pool(columns: Mapping[str, tuple[bool, Array, Array | None]], codes: Codes, pool: Pool) -> Relation:
    """A table of a batch with its texts in the pool that outlives it; `codes` are those of the batch's texts there."""
    made: dict[str, Column] = {}
    count = 0
    for name, (is_text, values, null) in columns.items():
        count = len(values)
        if is_text:
            known = codes[values] if len(codes) else values
            made[name] = TextColumn(pool, codes=np.where(values == NULL, NULL, known))
        else:
            made[name] = Column(values, null)
    return Relation(count, made)


def _raw(deals: Sequence[Deal], pool: Pool) -> Relation:
    """The deals themselves: decimals as text, instants as microseconds."""
    columns = {}
    for name, kind in DEAL_COLUMNS.items():
        values = [deal.get(name) for deal in deals]
        if kind.startswith("DECIMAL"):
            values = [None if value is None else str(value) for value in values]
            kind = "VARCHAR"
        elif kind == "TIMESTAMP":
            values = [None if value is None else _microseconds(value) for value in values]
            kind = "BIGINT"
        made = column_of(kind, values, pool)
        columns[name] = TextColumn(pool, codes=made.codes) if isinstance(made, TextColumn) else made
    return Relation(len(deals), columns)


def _microseconds(moment: dt.datetime) -> int:
    bare = moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return (bare - _EPOCH) // dt.timedelta(microseconds=1)


def side_by_side(make: Callable[[Work], Made], works: Iterable[Work], processes: int) -> Iterator[Made]:
    """What `make` makes of each piece of work, in their order, by several processes of this one's making.

    They are forked, so that what is in memory is theirs without a copy: for programs that build an index and do nothing else.
    """
    if processes == 1:
        yield from map(make, works)
        return
    global _make
    _make = make
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_made, works)


_make: Callable[[Any], Any] | None = None


def _made(work: Any) -> Any:
    assert _make is not None  # noqa: S101 -- set before the fork
    return _make(work)


def _batches(deals: Iterable[Deal]) -> Iterable[list[Deal]]:
    batch: list[Deal] = []
    is_first = True
    for deal in deals:
        batch.append(deal)
        if len(batch) == _BATCH:
            yield batch
            batch, is_first = [], False
    if batch or is_first:
        yield batch  # of no deals at all, too: tables without rows have columns all the same
