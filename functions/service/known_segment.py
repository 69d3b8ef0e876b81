"""A part of the index: known deals in compact arrays, found by their ID, their key or the keys that they share with others.

A part never changes. The large one lies in files that all processes of an instance share; what came since lies in a small one in
memory, which is made anew at each refresh.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.columns import Array, Column, TextColumn, column_of, runs
from functions.service.engine.relations import Relation
from functions.service.engine.storage import DEAL_KEY, StoredTable, TableWriter
from functions.service.engine.strings import NULL, Codes, Pool
from functions.service.known_deals import Key
from functions.service.values import DEAL_COLUMNS, Deal

# Deals whose tables are made at once.
_BATCH = 2_000
_RAW = "raw"
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
        first = np.searchsorted(self.shared, codes, "left")
        sizes = np.searchsorted(self.shared, codes, "right") - first
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
            name: np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("hashes", "by_hash", "deal_keys", "shared", "by_shared")
        }
        names = json.loads((folder / "tables.json").read_text())
        return Segment(tables={name: StoredTable.read(folder, name) for name in names}, **arrays)


def build(features: CompiledFeatures, deals: Iterable[Deal], pool: Pool) -> Segment:
    """Make a segment.

    Args:
        features: The version's SQL.
        deals: The deals, each once.
        pool: Takes their texts.
    """
    policy = features.serving.candidates
    names = sorted({*features.of_deals, *policy.indexed})
    writers = {name: TableWriter() for name in (*names, _RAW)}
    hashes: list[int] = []
    keys: list[Array] = []
    for batch in _batches(deals):
        arriving = features.arriving(batch, _Texts(pool))
        clean = arriving.table(policy.indexed[0])
        found = [
            (source, deal_id)
            for source, deal_id in zip(clean.column("source").to_list(), clean.column("deal_id").to_list(), strict=True)
        ]
        mine = clean.column(DEAL_KEY).values
        order = np.argsort(mine)
        for name in names:
            relation = arriving.table(name)
            owners = order[np.searchsorted(mine[order], relation.column(DEAL_KEY).values)]
            writers[name].add(_kept(relation, pool), owners, len(mine))
        by_key = {(deal["source"], deal["deal_id"]): deal for deal in batch}
        writers[_RAW].add(_raw([by_key[key] for key in found], pool), np.arange(len(mine)), len(mine))
        hashes += [key_hash(key) for key in found]
        keys.append(mine)
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
class _Texts:
    """An index that has texts only, as a batch sees it."""

    pool: Pool

    def tables(self, keys: Sequence[Key], names: Sequence[str], pool: Pool) -> Mapping[str, Relation]:
        """Nothing is known."""
        raise AssertionError


def _kept(relation: Relation, pool: Pool) -> Relation:
    """The same with its texts in the pool that outlives the batch."""

    def column(name: str) -> Any:
        made = relation.column(name)
        return TextColumn(pool, codes=pool.intern(made.texts)) if isinstance(made, TextColumn) else made

    return Relation(relation.count, {name: column(name) for name in relation.names})


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


def _batches(deals: Iterable[Deal]) -> Iterable[list[Deal]]:
    batch: list[Deal] = []
    for deal in deals:
        batch.append(deal)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
