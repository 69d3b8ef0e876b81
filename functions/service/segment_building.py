"""Makes a part of the index of deals: their tables batch by batch, by several processes if there are, and the ways to find them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from functions.service.compiled_features import CompiledFeatures
from functions.service.engine.columns import Array, Column, EngineError, TextColumn, column_of, rows_with
from functions.service.engine.relations import Relation, key_of
from functions.service.engine.storage import DEAL_KEY, StoredTable, TableWriter
from functions.service.engine.stores import Store
from functions.service.engine.strings import NULL, Codes, Pool
from functions.service.known_segment import EPOCH, RANK_BITS, RAW, Segment, key_hash
from functions.service.values import DEAL_COLUMNS, Deal
from functions.service.workers import ALONE, Workers

# Deals whose tables are made at once.
_BATCH = 500
# By column whether it is of texts, the values or codes, and where NULL.
PlainColumns = Mapping[str, tuple[bool, Array, Array | None]]


class Texts(Protocol):
    """What gives texts their codes."""

    def intern(self, texts: Sequence[str]) -> Codes:
        """The code of each text, given now where it had none."""


def build(
    features: CompiledFeatures, deals: Iterable[Deal], texts: Texts, store: Store, workers: Workers = ALONE
) -> Segment:
    """Make a segment.

    Args:
        features: The version's SQL.
        deals: The deals, each once.
        texts: Takes their texts.
        store: Takes the arrays.
        workers: Make the tables.
    """
    policy = features.serving.candidates
    writers = {name: TableWriter(store, name) for name in (*_names(features), RAW)}
    hashes: list[Array] = []
    keys: list[Array] = []
    by: list[list[Codes]] = []
    for batch in workers.map(lambda some: _batch(features, some), _batches(deals), step="reading deals", deals=_BATCH):
        codes = texts.intern(batch.texts)
        for name, (relation, owners) in batch.tables.items():
            writers[name].add(in_pool(relation, codes), owners, len(batch.deal_keys))
        hashes.append(np.array(batch.hashes, np.int64))
        keys.append(batch.deal_keys)
        by.append(batch.by)
    tables = {name: writer.table() for name, writer in writers.items()}
    by_id = np.concatenate(hashes) if hashes else np.zeros(0, np.int64)
    order = np.argsort(by_id, kind="stable")
    ranked = [np.concatenate(column) for column in zip(*by, strict=True)]
    by_rank = np.lexsort(ranked[::-1]) if ranked else np.arange(len(by_id))
    shared, by_shared = _blocks(tables[policy.keys], policy.key, by_rank)
    store.describe("segment", {"tables": list(tables), "ranked": len(ranked)})
    return Segment(
        hashes=store.keep("hashes", by_id[order]),
        by_hash=store.keep("by_hash", order.astype(np.int32)),
        deal_keys=store.keep("deal_keys", np.concatenate(keys) if keys else np.zeros(0, np.int64)),
        tables=tables,
        by_rank=store.keep("by_rank", by_rank.astype(np.int32)),
        ranked=tuple(store.keep(f"ranked-{place}", values[by_rank]) for place, values in enumerate(ranked)),
        shared=store.keep("shared", shared),
        by_shared=store.keep("by_shared", by_shared),
    )


def _blocks(table: StoredTable, key: str, by_rank: Codes) -> tuple[Codes, Array]:
    """The rows of the table of keys block by block, and in each in the order of their deals."""
    rank = np.empty(len(by_rank), np.int64)
    rank[by_rank] = np.arange(len(by_rank))
    sizes = np.diff(table.starts)
    if not len(sizes) or not table.starts[-1]:
        return np.zeros(0, np.int64), np.zeros(0, np.int32)
    codes = table.raw(key).astype(np.int64)
    codes <<= RANK_BITS
    codes |= np.repeat(rank, sizes)
    order = np.argsort(codes, kind="stable")
    return codes[order], order.astype(np.int32 if len(codes) < 2**31 else np.int64)


@dataclass(frozen=True)
class _Batch:
    """Some deals' tables, their texts by the codes of a pool of their own.

    Attributes:
        texts: The texts, each at its code.
        tables: By name the columns, values and NULLs (of texts the codes), and which deal each row belongs to.
        deal_keys: What stands for each deal in joins.
        hashes: Hashed source and ID of each.
        by: The values in whose order they stand in a block.
    """

    texts: Sequence[str]
    tables: Mapping[str, tuple[PlainColumns, Array]]
    deal_keys: Array
    hashes: list[int]
    by: list[Codes]


def order_values(features: CompiledFeatures, clean: Relation) -> list[Codes]:
    """The values in whose order deals stand in a block; none where blocks have no order.

    Raises:
        EngineError: They are no numbers or dates, or are missing.
    """
    nearest = features.serving.candidates.nearest
    found = []
    for name in nearest.by if nearest is not None else ():
        values, null = key_of(clean.column(name))
        if null is not None or clean.column(name).values.dtype == np.float64:
            raise EngineError(f"blocks in the order of {name}, which is missing or no whole number or date")
        found.append(values)
    return found


def _names(features: CompiledFeatures) -> list[str]:
    return sorted({*features.of_deals, *features.serving.candidates.indexed})


def _batch(features: CompiledFeatures, deals: Sequence[Deal]) -> _Batch:
    arriving = features.arriving(deals)
    clean = arriving.table(features.serving.candidates.indexed[0])
    found = list(zip(clean.column("source").to_list(), clean.column("deal_id").to_list(), strict=True))
    mine = clean.column(DEAL_KEY).values
    tables = {}
    for name in _names(features):
        relation = arriving.table(name)
        tables[name] = (plain(relation), rows_with(mine, relation.column(DEAL_KEY).values))
    by_key = {(deal["source"], deal["deal_id"]): deal for deal in deals}
    raw = _raw([by_key[key] for key in found], arriving.pool)
    tables[RAW] = (plain(raw), np.arange(len(mine)))
    return _Batch(arriving.pool.texts, tables, mine, [key_hash(key) for key in found], order_values(features, clean))


def plain(relation: Relation) -> PlainColumns:
    """A table as it goes from one process to another: of texts their codes."""
    columns: dict[str, tuple[bool, Array, Array | None]] = {}
    for name in relation.names:
        column = relation.column(name)
        if isinstance(column, TextColumn):
            columns[name] = (True, column.codes, None)
        elif name != DEAL_KEY:
            columns[name] = (False, column.values, column.null)
    return columns


def in_pool(columns: PlainColumns, codes: Codes) -> Relation:
    """The same with the texts' codes in the pool that outlives the batch; `codes` are those of the batch's texts there."""
    made: dict[str, Column] = {}
    count = 0
    for name, (is_text, values, null) in columns.items():
        count = len(values)
        if is_text:
            known = codes[values] if len(codes) else values
            made[name] = TextColumn(_NOBODYS, codes=np.where(values == NULL, NULL, known))
        else:
            made[name] = Column(values, null)
    return Relation(count, made)


# What is written is codes; nobody asks for a text.
_NOBODYS = Pool()


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
    return (bare - EPOCH) // dt.timedelta(microseconds=1)


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
