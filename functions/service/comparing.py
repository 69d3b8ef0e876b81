"""Compares the known deals with one another while an index is built: which pairs they choose, and what these are ranked by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from functions.service.engine.columns import Array
from functions.service.engine.relations import Relation
from functions.service.engine.storage import TableWriter
from functions.service.engine.stores import Store
from functions.service.engine.strings import Codes, Pool
from functions.service.known_pairs import RANKED, SIDES, KnownPairs
from functions.service.segment_building import PlainColumns, Texts, in_pool, plain
from functions.service.workers import Workers

if TYPE_CHECKING:
    from functions.service.compiled_features import CompiledFeatures
    from functions.service.known_segment import Segment

# Deals whose candidates are looked for at once, and deals whose pairs are computed at once.
_CHOOSING, _RANKING = 100, 400


def compared_pairs(
    features: CompiledFeatures,
    segment: Segment,
    pool: Pool,
    choose: Callable[[Codes, Pool], Relation],
    store: Store,
    texts: Texts,
    workers: Workers,
) -> KnownPairs:
    """The pairs that the deals of a segment choose among themselves.

    Args:
        features: The version's SQL.
        segment: The deals.
        pool: Their texts.
        choose: Gives the pairs that the deals at some places choose.
        store: Takes the pairs.
        texts: Takes the texts that come of comparing.
        workers: Compare.
    """
    by_key = np.argsort(segment.deal_keys)
    ordered = segment.deal_keys[by_key]

    def places_of(pairs: Relation) -> list[Array]:
        return [by_key[np.searchsorted(ordered, pairs.column(name).values)] for name in SIDES]

    def chosen(first: int) -> Array:
        # Neighbours in the blocks at once, so that they look around among the same deals.
        some = segment.by_rank[first : first + _CHOOSING].astype(np.int64)
        left, right = places_of(choose(some, pool.child()))
        return np.unique((left << 32) | right)

    works = range(0, len(segment), _CHOOSING)
    found = list(workers.map(chosen, works, step="looking for candidates", deals=_CHOOSING))
    pairs = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    left, right = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
    if features.ranked is None:
        return KnownPairs.of(left, right, len(segment)).keep(store)
    starts = np.searchsorted(left, np.arange(len(segment) + 1))

    def ranked(first: int) -> tuple[Array, Array, PlainColumns, Sequence[str]]:
        last = min(first + _RANKING, len(segment))
        mine = slice(starts[first], starts[last])
        inside = pool.child()
        relation = features.ranking(segment, left[mine], right[mine], inside)
        one, other = places_of(relation)
        order = np.lexsort((other, one))
        kept = Relation(relation.count, {name: relation.column(name) for name in relation.names if name not in SIDES})
        columns, own = _own_texts(plain(kept.take(order)), inside)
        return one[order].astype(np.int32), other[order].astype(np.int32), columns, own

    works = range(0, max(len(segment), 1), _RANKING)  # of no deals at all, too: a table without rows has columns
    writer = TableWriter(store, RANKED)
    sides: list[tuple[Array, Array]] = []
    made = workers.map(ranked, works, step="comparing candidates", deals=_RANKING)
    for first, (one, other, columns, own) in zip(works, made, strict=True):
        writer.add(in_pool(columns, texts.intern(own)), one - first, min(_RANKING, len(segment) - first))
        sides.append((one, other))
    both = [np.concatenate(side) for side in zip(*sides, strict=True)]
    return KnownPairs.of(both[0], both[1], len(segment), writer.table()).keep(store)


def _own_texts(columns: PlainColumns, pool: Pool) -> tuple[PlainColumns, Sequence[str]]:
    """The columns with the codes of texts that go with them, for who does not know the pool."""
    codes = [values for is_text, values, _ in columns.values() if is_text]
    used = np.unique(np.concatenate(codes)) if codes else np.zeros(0, np.int64)
    used = used[used >= 0]
    texts = [text or "" for text in pool.decode(used)]
    made = {
        name: (is_text, np.where(values < 0, values, np.searchsorted(used, values)) if is_text else values, null)
        for name, (is_text, values, null) in columns.items()
    }
    return made, texts
