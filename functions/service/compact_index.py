"""An index of a million deals in one process or shared by several: compact arrays, asked by the version's own blocking SQL.

A request reads the rows of the keys that its deals have, and runs the template of the candidate pairs over those alone. Which
pairs were compared before is kept, too: they are the rivals by whom a pair's standing is judged.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from functions.service.comparing import compared_pairs
from functions.service.compiled_features import Arriving, CompiledFeatures
from functions.service.engine.columns import Column, TextColumn, rows_with
from functions.service.engine.relations import Relation, union
from functions.service.engine.storage import DEAL_KEY
from functions.service.engine.stores import InFolder, InMemory, Store
from functions.service.engine.string_writer import StringWriter
from functions.service.engine.strings import NULL, Codes, Pool, StringFile
from functions.service.feature_program import FeatureProgram
from functions.service.index_part import IndexPart
from functions.service.known_deals import Key
from functions.service.known_pairs import KnownPairs, Rivals
from functions.service.known_segment import Around, AskedKeys, Segment, key_hash
from functions.service.segment_building import Texts, build, order_values
from functions.service.values import Deal, Pair, ordered
from functions.service.workers import ALONE, Workers

# Small segments that are put together into one.
_MANY = 8


class CompactIndex:
    """Known deals, where new ones find their candidates. Threads may share it.

    Args:
        features: The version's SQL.
        base: The deals known so far.
        pool: Their texts.
        compared: Pairs of them that were compared.
    """

    def __init__(
        self, features: CompiledFeatures, base: Segment, pool: Pool, compared: KnownPairs | None = None
    ) -> None:
        self.features = features
        self.pool = pool
        self._parts: tuple[IndexPart, ...] = (IndexPart.of(base),)
        self._recent: dict[Key, Deal] = {}
        self._pairs = compared or KnownPairs.none(len(base))
        self._since: dict[int, set[int]] = defaultdict(set)
        self._summaries: dict[tuple[int, str], Relation] = {}
        self._writing = threading.Lock()

    @classmethod
    def of(cls, features: CompiledFeatures, deals: Iterable[Deal], compared: Iterable[Pair] = ()) -> CompactIndex:
        """An index in memory.

        Args:
            features: The version's SQL.
            deals: The known deals, columns as in raw_deals, each once.
            compared: Pairs of them that are compared whatever blocking says: the labelled ones.
        """
        pool, store = Pool(), InMemory()
        index = cls(features, build(features, deals, pool, store), pool)
        index._compare(store, pool, ALONE)
        index.remember(compared)
        return index

    @classmethod
    def write(cls, features: CompiledFeatures, deals: Iterable[Deal], folder: Path, workers: Workers = ALONE) -> int:
        """Make an index in files, a batch of deals in memory at a time; gives how many deals there are.

        Args:
            features: The version's SQL.
            deals: The known deals, columns as in raw_deals, each once.
            folder: Takes the files.
            workers: Make it.
        """
        store = InFolder(folder)
        with StringWriter(folder) as texts:
            base = build(features, deals, texts, store, workers)
            texts.finish()
            strings = StringFile(folder)
            index = cls(features, base, Pool(strings, len(strings)))
            index._compare(store, texts, workers)
            texts.finish()
        return len(base)

    @classmethod
    def read(cls, features: CompiledFeatures, folder: Path) -> CompactIndex:
        """An index in files that processes share, which `write` made."""
        strings = StringFile(folder)
        return cls(features, Segment.read(folder), Pool(strings, len(strings)), KnownPairs.read(folder))

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

    def rivals(self, pairs: Iterable[Pair]) -> Rivals:
        """The pairs that were compared before and share a deal with one of these."""
        involved = sorted({key for pair in pairs for key in pair})
        hashes = [key_hash(key) for key in involved]
        base = self._parts[0]
        places = base.segment.places(np.array(hashes, np.int64))
        rows = self._pairs.rows_of(places[places != NULL])
        others = set[Pair]()
        if len(rows) and base.gone.any():
            # Of a deal that came again it has to be computed anew what its pairs are ranked by.
            stale = base.gone[self._pairs.left[rows]] | base.gone[self._pairs.right[rows]]
            rows, others = rows[~stale], set(self._pair_names(rows[stale]))
        if self._since:
            partners = [
                (key, other) for key, one in zip(involved, hashes, strict=True) for other in self._since.get(one, ())
            ]
            names = self._keys_of(sorted({other for _, other in partners}))
            others |= {ordered(key, names[other]) for key, other in partners if other in names}
        return Rivals(rows, others, self._pair_names)

    def features_among(self, arriving: Arriving, pairs: Sequence[Pair], rivals: Rivals) -> list[dict[str, Any]]:
        """Features of pairs of arriving and known deals among rivals that `rivals` of this index gave."""
        rows, base, asked = rivals.rows, self._parts[0].segment, set(pairs)
        others = set(rivals.others)
        if self.features.ranked is None:
            return self.features.features(arriving, pairs, sorted(set(rivals) - asked))
        if len(rows):
            left, right = self._pairs.left[rows].astype(np.int64), self._pairs.right[rows].astype(np.int64)
            mine = base.places(np.array([key_hash(key) for key in arriving.keys], np.int64))
            anew = np.isin(left, mine) | np.isin(right, mine)
            sides = [base.places(np.array([key_hash(pair[side]) for pair in pairs], np.int64)) for side in (0, 1)]
            is_asked = np.isin((left << 32) | right, (sides[0] << 32) | sides[1])
            if anew.any():
                others.update(self._pair_names(rows[anew]))
            rows = rows[~(anew | is_asked)]
        pool = arriving.pool
        known = self._pairs.relation(rows, base.deal_keys, self.features.ranked_columns, pool) if len(rows) else None
        return self.features.features(arriving, pairs, sorted(others - asked), known_rivals=known)

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
            segment = build(self.features, (self._recent if together else new).values(), self.pool, InMemory())
            kept = self._parts[:1] if together else self._parts
            keys, key = self.features.serving.candidates.keys, self.features.serving.candidates.key
            # At one stroke: whoever asks meanwhile finds each deal either as it was or as it is.
            self._parts = (
                *(part.without(replaced.get(id(part.segment)), keys, key) for part in kept),
                IndexPart.of(segment),
            )
            self.remember(pairs)

    def remember(self, pairs: Iterable[Pair]) -> None:
        """Have pairs count as compared; those that the index was built with do already, and are no second rival."""
        for left, right in self._unknown(list(pairs)):
            one, other = key_hash(left), key_hash(right)
            self._since[one].add(other)
            self._since[other].add(one)

    def _unknown(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Those of some pairs that are not among the known ones."""
        base = self._parts[0].segment
        left, right = (base.places(np.array([key_hash(pair[side]) for pair in pairs], np.int64)) for side in (0, 1))
        rows = self._pairs.rows_of(np.unique(left[left != NULL]))
        known = (self._pairs.left[rows].astype(np.int64) << 32) | self._pairs.right[rows]
        return [pairs[place] for place in np.flatnonzero(~np.isin((left << 32) | right, known)).tolist()]

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
        asked = self._asked(mine)
        known: dict[str, list[Relation]] = {name: [] for name in policy.indexed}
        summaries: dict[str, list[Relation]] = {name: [] for name in self.features.blocking.summarised}
        for place, part in enumerate(self._parts):
            rows, owners = part.segment.sharing(policy.keys, part.beyond_gone(asked), pool)
            keep = ~part.gone[owners] & ~np.isin(part.segment.deal_keys[owners], asking)
            if not keep.all():
                rows, owners = rows.take(np.flatnonzero(keep)), owners[keep]
            involved = np.unique(owners)
            for name in policy.indexed:
                known[name].append(rows if name == policy.keys else part.segment.rows(name, involved, pool))
            for name, columns in self.features.blocking.summarised.items():
                summaries[name].append(self._summary(place, part.segment, name, columns))
        tables = {name: union(parts) for name, parts in known.items()}
        whole = {name: union(parts) for name, parts in summaries.items()}
        return self.features.blocking.pairs(mine, tables, whole, pool), tables

    def _asked(self, mine: Mapping[str, Relation]) -> AskedKeys:
        """By which keys some deals look around, and how far."""
        policy = self.features.serving.candidates
        table, clean = mine[policy.keys], mine[policy.indexed[0]]
        codes = np.asarray(table.column(policy.key).codes)  # type: ignore[attr-defined]  # a column of texts
        if policy.nearest is None:
            return AskedKeys(np.unique(codes))
        owners = rows_with(clean.column(DEAL_KEY).values, table.column(DEAL_KEY).values)
        around = order_values(self.features, clean)
        # Those who ask are left out of the known ones: as many more are wanted as there may be of them in the block.
        _, block, sizes = np.unique(codes, return_inverse=True, return_counts=True)
        return AskedKeys(codes, Around(around, owners, self.features.reach + sizes[block]))

    def sharing(self, keys: Sequence[str]) -> dict[Key, dict[str, Any]]:
        """The deals that can be looked up by one of these keys."""
        policy, pool = self.features.serving.candidates, self.pool.child()
        codes = np.unique(np.array(self.pool.find(keys), np.int64))
        found: dict[Key, dict[str, Any]] = {}
        for part in self._parts:
            _, owners = part.segment.sharing(policy.keys, AskedKeys(codes), pool)
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

    def _pair_names(self, rows: Codes) -> list[Pair]:
        """Source and ID of both deals of known pairs."""
        base, clean = self._parts[0].segment, self.features.serving.candidates.indexed[0]
        sides = []
        for places in (self._pairs.left[rows], self._pairs.right[rows]):
            relation = base.rows(clean, places.astype(np.int64), self.pool.child())
            sides.append(list(zip(*(relation.column(n).to_list() for n in ("source", "deal_id")), strict=True)))
        return list(zip(*sides, strict=True))

    def _compare(self, store: Store, texts: Texts, workers: Workers) -> None:
        """Have the known deals choose among themselves."""
        segment = self._parts[0].segment

        def choose(places: Codes, pool: Pool) -> Relation:
            names = self.features.serving.candidates.indexed
            return self._chosen({name: segment.rows(name, places, pool) for name in names}, pool)[0]

        self._summarise()
        self._pairs = compared_pairs(self.features, segment, self.pool, choose, store, texts, workers)

    def _summarise(self) -> None:
        """Have the summaries of the large segment made before processes are forked."""
        for name, columns in self.features.blocking.summarised.items():
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
        self, program: FeatureProgram, pairs: Sequence[Pair], rivals: Collection[Pair] = ()
    ) -> list[dict[str, Any]]:
        """A version's features of pairs; of another version than the index's from the deals as they came."""
        if program.compiled is self._index.features:
            if isinstance(rivals, Rivals):
                return self._index.features_among(self._arriving, pairs, rivals)
            return self._index.features.features(self._arriving, pairs, sorted(set(rivals) - set(pairs)))
        others = self._index.deals(sorted({key for pair in (*pairs, *rivals) for key in pair} - self._arriving.keys))
        # People have judged pairs of deals that the index does not reach back to; they are nobody's rivals here either.
        there = self._arriving.keys | others.keys()
        met = [pair for pair in rivals if there.issuperset(pair) and pair not in pairs]
        return program.compute([*self._arriving.deals, *others.values()], pairs, met)
