"""An index of a million deals in one process or shared by several: compact arrays, asked by the version's own blocking SQL.

A request reads the rows of the keys that its deals have, and runs the template of the candidate pairs over those alone. Which
pairs were compared before is kept, too: they are the rivals by whom a pair's standing is judged.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from functions.service.compiled_features import Arriving, CompiledFeatures
from functions.service.engine.columns import Array, Column, TextColumn
from functions.service.engine.relations import Relation, union
from functions.service.engine.storage import DEAL_KEY
from functions.service.engine.strings import NULL, Codes, Pool, StringFile, mapped
from functions.service.feature_program import FeatureProgram
from functions.service.known_deals import Key
from functions.service.known_segment import Segment, build, key_hash, side_by_side
from functions.service.values import Deal, Pair

# Deals whose candidates are looked for at once when an index is built.
_AT_ONCE = 250
# Small segments that are put together into one.
_MANY = 8


@dataclass(frozen=True)
class _Part:
    """A segment, and which of its deals there is a newer version of."""

    segment: Segment
    gone: Array

    def without(self, places: Codes | None) -> _Part:
        """The same segment, in which these deals are gone, too."""
        if places is None or not len(places):
            return self
        gone = self.gone.copy()
        gone[places] = True
        return _Part(self.segment, gone)


class CompactIndex:
    """Known deals, where new ones find their candidates. Threads may share it.

    Args:
        features: The version's SQL.
        base: The deals known so far.
        pool: Their texts.
        compared: By place in `base` where the partners of the deal begin, and the hashes of these partners.
    """

    def __init__(
        self, features: CompiledFeatures, base: Segment, pool: Pool, compared: tuple[Codes, Codes] | None = None
    ) -> None:
        self.features = features
        self.pool = pool
        self._parts: tuple[_Part, ...] = (_Part(base, np.zeros(len(base), np.bool_)),)
        self._recent: dict[Key, Deal] = {}
        self._starts, self._partners = compared or (np.zeros(len(base) + 1, np.int64), np.zeros(0, np.int64))
        self._since: dict[int, set[int]] = defaultdict(set)
        self._summaries: dict[tuple[int, str], Relation] = {}
        self._writing = threading.Lock()

    @classmethod
    def of(
        cls, features: CompiledFeatures, deals: Iterable[Deal], compared: Iterable[Pair] = (), *, processes: int = 1
    ) -> CompactIndex:
        """An index in memory.

        Args:
            features: The version's SQL.
            deals: The known deals, columns as in raw_deals, each once.
            compared: Pairs of them that are compared whatever blocking says: the labelled ones.
            processes: How many build it side by side; more than one are for a program that does nothing else.
        """
        pool = Pool()
        base = build(features, deals, pool, processes)
        index = cls(features, base, pool)
        index._starts, index._partners = index._compared_before(processes)
        index.remember(compared)
        return index

    @classmethod
    def read(cls, features: CompiledFeatures, folder: Path) -> CompactIndex:
        """An index in files that processes share, which `write` made."""
        strings = StringFile(folder)
        compared = mapped(folder / "starts.npy"), mapped(folder / "partners.npy")
        return cls(features, Segment.read(folder), Pool(strings, len(strings)), compared)

    def write(self, folder: Path) -> None:
        """Keep what was known at the start in a folder."""
        self._parts[0].segment.write(folder)
        StringFile.write(folder, self.pool.texts)
        np.save(folder / "starts.npy", self._starts)
        np.save(folder / "partners.npy", self._partners)

    def __len__(self) -> int:
        return sum(len(part.segment) - int(part.gone.sum()) for part in self._parts)

    def request(self, deals: Sequence[Deal]) -> AskedOfColumns:
        """These deals, which stand for the known ones of their IDs, beside the known ones."""
        return AskedOfColumns(self, deals)

    def candidates(self, arriving: Arriving) -> list[Pair]:
        """The pairs worth a closer look that each of these deals makes with known deals and with one another."""
        if not arriving.deals:
            return []
        mine = {name: arriving.table(name) for name in self.features.serving.candidates.indexed}
        found, known = self._chosen(mine, arriving.pool)
        left, right = (found.column(name).values.tolist() for name in ("left_key", "right_key"))
        names = self._names((mine, known), {*left, *right})
        return [(names[one], names[other]) for one, other in zip(left, right, strict=True)]

    def rivals(self, pairs: Iterable[Pair]) -> set[Pair]:
        """The pairs that were compared before and share a deal with one of these."""
        involved = sorted({key for pair in pairs for key in pair})
        hashes = [key_hash(key) for key in involved]
        places = self._parts[0].segment.places(np.array(hashes, np.int64)).tolist()
        partners: list[tuple[Key, int]] = []
        for key, hashed, place in zip(involved, hashes, places, strict=True):
            near = set(self._since.get(hashed, ()))
            if place != NULL:
                near.update(self._partners[self._starts[place] : self._starts[place + 1]].tolist())
            partners += [(key, other) for other in near]
        names = self._keys_of(sorted({other for _, other in partners}))
        return {
            (key, names[other]) if key < names[other] else (names[other], key)
            for key, other in partners
            if other in names
        }

    def deals(self, keys: Sequence[Key]) -> Mapping[Key, dict[str, Any]]:
        """The latest version of each known deal; the unknown ones are left out."""
        pool = self.pool.child()
        found: dict[Key, dict[str, Any]] = {}
        for part, places, _ in self._where(keys):
            found |= {(deal["source"], deal["deal_id"]): deal for deal in part.deals(places, pool)}
        return found

    def tables(self, keys: Sequence[Key], names: Sequence[str], pool: Pool) -> Mapping[str, Relation]:
        """The rows of these tables that belong to these deals; unknown ones have none."""
        parts = self._where(keys)
        return {name: union([segment.rows(name, places, pool) for segment, places, _ in parts]) for name in names}

    def has(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Which of these deals are known."""
        return frozenset(keys[at] for _, _, found in self._where(keys) for at in found.tolist())

    def add(self, deals: Sequence[Deal]) -> None:
        """Have new deals, or new versions of known ones, found from now on."""
        if not deals:
            return
        with self._writing:
            pairs = self.candidates(self.features.arriving(deals, self))
            new = {(deal["source"], deal["deal_id"]): deal for deal in deals}
            replaced = {id(segment): places for segment, places, _ in self._where(list(new))}
            self._recent |= new
            together = len(self._parts) > _MANY
            segment = build(self.features, (self._recent if together else new).values(), self.pool)
            kept = self._parts[:1] if together else self._parts
            # At one stroke: whoever asks meanwhile finds each deal either as it was or as it is.
            self._parts = (
                *(part.without(replaced.get(id(part.segment))) for part in kept),
                _Part(segment, np.zeros(len(segment), np.bool_)),
            )
            self.remember(pairs)

    def remember(self, pairs: Iterable[Pair]) -> None:
        """Have pairs count as compared."""
        for left, right in pairs:
            one, other = key_hash(left), key_hash(right)
            self._since[one].add(other)
            self._since[other].add(one)

    def _where(self, keys: Sequence[Key]) -> list[tuple[Segment, Codes, Codes]]:
        """By segment the places of the deals that it has the latest version of, and which of the keys these are."""
        hashes = np.array([key_hash(key) for key in keys], np.int64)
        found = []
        for part in self._parts:
            places = part.segment.places(hashes)
            at = np.flatnonzero(places != NULL)
            at = at[~part.gone[places[at]]]
            found.append((part.segment, places[at], at))
        return found

    def _chosen(self, mine: Mapping[str, Relation], pool: Pool) -> tuple[Relation, dict[str, Relation]]:
        """The pairs that some deals choose, and the tables of the known deals that they share a key with."""
        policy = self.features.serving.candidates
        asking = mine[policy.indexed[0]].column(DEAL_KEY).values
        codes = np.unique(mine[policy.keys].column(policy.key).codes)  # type: ignore[attr-defined]  # a column of texts
        known: dict[str, list[Relation]] = {name: [] for name in policy.indexed}
        summaries: dict[str, list[Relation]] = {name: [] for name in self.features.summarised}
        for place, part in enumerate(self._parts):
            rows, owners = part.segment.sharing(policy.keys, codes, pool)
            keep = ~part.gone[owners] & ~np.isin(part.segment.deal_keys[owners], asking)
            if not keep.all():
                rows, owners = rows.take(np.flatnonzero(keep)), owners[keep]
            involved = np.unique(owners)
            for name in policy.indexed:
                known[name].append(rows if name == policy.keys else part.segment.rows(name, involved, pool))
            for name, columns in self.features.summarised.items():
                summaries[name].append(self._summary(place, part.segment, name, columns))
        tables = {name: union(parts) for name, parts in known.items()}
        whole = {name: union(parts) for name, parts in summaries.items()}
        return self.features.candidate_pairs(mine, tables, whole, pool), tables

    def sharing(self, keys: Sequence[str]) -> dict[Key, dict[str, Any]]:
        """The deals that can be looked up by one of these keys."""
        policy, pool = self.features.serving.candidates, self.pool.child()
        codes = np.unique(np.array(self.pool.find(keys), np.int64))
        found: dict[Key, dict[str, Any]] = {}
        for part in self._parts:
            _, owners = part.segment.sharing(policy.keys, codes[codes != NULL], pool)
            places = np.unique(owners[~part.gone[owners]])
            found |= {(deal["source"], deal["deal_id"]): deal for deal in part.segment.deals(places, pool)}
        return found

    def summarise_with(self, rows: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Have the index say of all known deals what is said elsewhere: it does not hold all of them.

        Args:
            rows: By table the different rows of its `summarised` columns.
        """
        segment = self._parts[0].segment
        for name, columns in rows.items():
            like = segment.tables[name].distinct(list(columns), self.pool)
            made: dict[str, Column] = {}
            count = 0
            for column, values in columns.items():
                count, kind = len(values), like.column(column)
                if isinstance(kind, TextColumn):
                    made[column] = TextColumn(self.pool, texts=list(values))
                else:
                    made[column] = Column(np.array(list(values), kind.values.dtype))
            self._summaries[0, name] = Relation(count, made)

    def _summary(self, place: int, segment: Segment, name: str, columns: Sequence[str]) -> Relation:
        """The different rows of some columns: of the large segment once, of the small ones each time."""
        if place:
            return segment.tables[name].distinct(columns, self.pool)
        known = self._summaries.get((place, name))
        if known is None:
            known = self._summaries[place, name] = segment.tables[name].distinct(columns, self.pool)
        return known

    def _names(self, sides: Iterable[Mapping[str, Relation]], wanted: set[int]) -> dict[int, Key]:
        """Source and ID by what stands for the deal in joins."""
        names: dict[int, Key] = {}
        for tables in sides:
            clean = tables[self.features.serving.candidates.indexed[0]]
            keys = clean.column(DEAL_KEY).values
            at = np.flatnonzero(np.isin(keys, list(wanted)))
            sources, ids = (clean.column(name).take(at).to_list() for name in ("source", "deal_id"))
            names |= dict(zip(keys[at].tolist(), zip(sources, ids, strict=True), strict=True))
        return names

    def _keys_of(self, hashes: Sequence[int]) -> dict[int, Key]:
        """Source and ID by their hash."""
        wanted = np.array(hashes, np.int64)
        pool = self.pool.child()
        names: dict[int, Key] = {}
        for part in self._parts:
            places = part.segment.places(wanted)
            at = np.flatnonzero(places != NULL)
            clean = part.segment.rows(self.features.serving.candidates.indexed[0], places[at], pool)
            keys = zip(*(clean.column(name).to_list() for name in ("source", "deal_id")), strict=True)
            names |= dict(zip(wanted[at].tolist(), keys, strict=True))
        return names

    def _compared_before(self, processes: int) -> tuple[Codes, Codes]:
        """For each known deal the partners that it chose or that chose it."""
        segment = self._parts[0].segment
        by_key = np.argsort(segment.deal_keys)
        ordered = segment.deal_keys[by_key]

        def compared(first: int) -> Codes:
            pool = self.pool.child()
            places = np.arange(first, min(first + _AT_ONCE, len(segment)))
            mine = {name: segment.rows(name, places, pool) for name in self.features.serving.candidates.indexed}
            pairs, _ = self._chosen(mine, pool)
            sides = [by_key[np.searchsorted(ordered, pairs.column(n).values)] for n in ("left_key", "right_key")]
            return np.stack(sides).astype(np.int32)

        self._summarise()
        found = list(side_by_side(compared, range(0, len(segment), _AT_ONCE), processes))
        return _neighbours(np.concatenate(found, axis=1) if found else np.zeros((2, 0), np.int32), segment)

    def _summarise(self) -> None:
        """Have the summaries of the large segment made before processes are forked."""
        for name, columns in self.features.summarised.items():
            self._summary(0, self._parts[0].segment, name, columns)


class AskedOfColumns:
    """The deals of a request: what the index's version says of each of them is computed once.

    Args:
        index: The index.
        deals: The deals.
    """

    def __init__(self, index: CompactIndex, deals: Sequence[Deal]) -> None:
        self._index = index
        self._arriving = index.features.arriving(deals, index)

    def candidates(self) -> list[Pair]:
        """The pairs worth a closer look that each of these deals makes with known deals and with one another."""
        return self._index.candidates(self._arriving)

    def features(
        self, program: FeatureProgram, pairs: Sequence[Pair], rivals: Sequence[Pair] = ()
    ) -> list[dict[str, Any]]:
        """A version's features of pairs; of another version than the index's from the deals as they came."""
        if program.compiled is self._index.features:
            return self._index.features.features(self._arriving, pairs, rivals)
        others = self._index.deals(sorted({key for pair in (*pairs, *rivals) for key in pair} - self._arriving.keys))
        # People have judged pairs of deals that the index does not reach back to; they are nobody's rivals here either.
        there = self._arriving.keys | others.keys()
        met = [pair for pair in rivals if there.issuperset(pair)]
        return program.compute([*self._arriving.deals, *others.values()], pairs, met)


def _neighbours(pairs: Codes, segment: Segment) -> tuple[Codes, Codes]:
    """Pairs of places as, for each place, the hashes of those that it is paired with."""
    hashes = np.empty(len(segment), np.int64)
    hashes[segment.by_hash] = segment.hashes
    ends = np.concatenate([pairs, pairs[::-1]], axis=1)
    order = np.lexsort((ends[1], ends[0]))
    one, other = ends[0][order], ends[1][order]
    is_new = np.ones(len(one), np.bool_)
    is_new[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    sizes = np.bincount(one[is_new], minlength=len(segment))
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), hashes[other[is_new]]
