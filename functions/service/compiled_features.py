"""A version's features on the service's own engine: what belongs to each deal once a deal, what belongs to pairs for all at once.

The tables between the two (clean deals, their words and sizes …) are read off the templates: they follow from the deals
alone, and a table of pairs reads them. The index keeps them for the known deals, so that a request computes them for the new ones
only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from sqlglot import exp

from etl.model_policy import ModelPolicy
from etl.templates import Templates
from functions.service.compiled_blocking import CompiledBlocking, in_columns_of, in_order
from functions.service.engine.columns import Array, Column, EngineError, TextColumn, column_of, rows_with
from functions.service.engine.program import Maker, Program
from functions.service.engine.relations import Relation, union
from functions.service.engine.rows.program import Find
from functions.service.engine.selects import distinct
from functions.service.engine.storage import DEAL_KEY
from functions.service.engine.strings import Pool
from functions.service.frozen_lookup import FrozenLookup
from functions.service.known_deals import Key
from functions.service.known_pairs import SIDES
from functions.service.known_segment import Segment
from functions.service.looped_features import LoopedFeatures, kinds_of
from functions.service.policy import ServingPolicy
from functions.service.rendering import AS_OF, REQUEST_PAIRS, Rendered, rendered_tables
from functions.service.rival_tables import WITH_RIVALS, beside_rivals
from functions.service.values import DEAL_COLUMNS, PAIR_COLUMNS, Deal, Pair

log = structlog.get_logger(__name__)

# Up to so many deals, and pairs, loops are quicker than columns; and up to so many deals where columns go on from there.
FEW_DEALS, FEW_PAIRS, FEW_BESIDE = 40, 24, 8
# Where Python's arithmetic fails, columns say what it means.
UNSAID = (ArithmeticError, TypeError, ValueError)


class KnownTables(Protocol):
    """What is kept of known deals."""

    @property
    def pool(self) -> Pool:
        """The texts of it all."""

    def tables(self, keys: Sequence[Key], names: Sequence[str], pool: Pool) -> Mapping[str, Relation]:
        """The rows of these tables that belong to these deals; unknown ones have none."""


class CompiledFeatures:
    """The compiled SQL of one version. Threads may share it.

    Args:
        templates: The SQL of the run that trained the version.
        policy: The policy of that run.
        serving: Its section for the service.
        frozen: The frozen tables of that run, by name.
        lookups: Those that are looked up.

    Raises:
        EngineError: Something in the SQL is not known to the engine; the text names it.
    """

    def __init__(
        self,
        templates: Templates,
        policy: ModelPolicy,
        serving: ServingPolicy,
        frozen: Mapping[str, pa.Table],
        lookups: Mapping[str, FrozenLookup],
    ) -> None:
        self.serving = serving
        self._parameters = {**policy.parameters, "as_of": np.datetime64(AS_OF, "us")}
        rendered = rendered_tables(templates, policy, serving, serving.features, {serving.deals, REQUEST_PAIRS})
        candidates = rendered_tables(templates, policy, serving, serving.candidates.pairs, {serving.deals})
        self._lookups = {name: _lookup_maker(lookup) for name, lookup in lookups.items()}
        columns = {name: tuple(table.column_names) for name, table in frozen.items()}
        whole = {name: table for name, table in frozen.items() if name not in lookups}
        self._whole = {name: _whole(table) for name, table in whole.items()}
        self.of_deals = self._of_deals(rendered, candidates)
        given = {serving.deals: tuple(DEAL_COLUMNS), REQUEST_PAIRS: tuple(PAIR_COLUMNS), **columns}
        both = {**candidates, **rendered}
        queries = {name: one.query for name, one in both.items() if name != serving.candidates.pairs}
        self.ranked = serving.ranked
        if self.ranked is not None:
            try:
                queries = beside_rivals(queries, self.ranked, serving.rival)
            except EngineError as error:
                log.warning("rivals are computed at each request", reason=str(error))
                self.ranked = None
        # Where no rivals are known, their tables are those of the request's own pairs.
        self._alone = {name: name.removesuffix(WITH_RIVALS) for name in queries if name.endswith(WITH_RIVALS)}
        self._features = Program(queries, given, self._lookups, self._parameters)
        self.fingerprint = _fingerprint([*both.values()], self._parameters, frozen)
        for name in self.of_deals:
            if DEAL_KEY not in self._features.schema[name]:
                raise EngineError(f"{name}, which belongs to deals, without a column {DEAL_KEY}")
        self.loops = self._looped(queries, whole, lookups)
        self.blocking = CompiledBlocking(
            candidates, self._features.schema, columns, serving, self._lookups, self._parameters, self._relations
        )
        if self.ranked is not None and not set(SIDES) <= set(self._features.schema[self.ranked]):
            raise EngineError(f"{self.ranked}, by which pairs are ranked, without columns {' and '.join(SIDES)}")
        nearest = serving.candidates.nearest
        reach = None if nearest is None else self._parameters.get(nearest.reach)
        if nearest is not None and not isinstance(reach, int):
            raise EngineError(f"the parameter {nearest.reach}, which is to say how far a deal looks around, is {reach}")
        self.reach = reach if isinstance(reach, int) else 0

    def _looped(
        self, queries: Mapping[str, exp.Expr], whole: Mapping[str, pa.Table], lookups: Mapping[str, FrozenLookup]
    ) -> LoopedFeatures | None:
        try:
            nobody = self._by_columns([], Pool())
            kinds = {name: kinds_of(nobody(name)) for name in self.of_deals}
            return LoopedFeatures(queries, self.serving, whole, lookups, self._parameters, kinds)
        except EngineError as error:
            log.info("small requests are computed by columns, too", reason=str(error))
            return None

    def arriving(self, deals: Sequence[Deal], known: KnownTables | None = None, *, few: int = FEW_DEALS) -> Arriving:
        """New deals on their way through the tables of one request.

        Args:
            deals: The deals.
            known: What is kept of known ones.
            few: Up to so many deals are worked on by loops.
        """
        pool = known.pool.child() if known is not None else Pool()
        rows = self.loops.of(deals) if self.loops is not None and len(deals) <= few else None
        beside = rows if len(deals) <= FEW_BESIDE else None
        find = partial(self._table, beside, cache(partial(self._by_columns, deals, pool)), pool)
        return Arriving(cache(find), pool, deals, known, rows)

    def _table(
        self, rows: Find | None, columns: Callable[[], Callable[[str], Relation]], pool: Pool, name: str
    ) -> Relation:
        """A table of arriving deals, from the loops where there are few."""
        if self.loops is not None and rows is not None:
            try:
                return self.loops.relation(rows(name), name, pool)
            except UNSAID as error:
                log.info("a small request is computed by columns", reason=repr(error))
        return columns()(name)

    def _by_columns(self, deals: Sequence[Deal], pool: Pool) -> Callable[[str], Relation]:
        raw = {c: column_of(kind, [deal.get(c) for deal in deals], pool) for c, kind in DEAL_COLUMNS.items()}
        given = {self.serving.deals: Relation(len(deals), raw), **self._relations(pool)}
        return self._features.run(given, pool)

    def features(
        self,
        arriving: Arriving,
        pairs: Sequence[Pair],
        rivals: Sequence[Pair] = (),
        *,
        few: int = FEW_PAIRS,
        known_rivals: Relation | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of the feature table for pairs of arriving and known deals; one row per pair, in any order.

        Args:
            arriving: The new deals.
            pairs: The pairs.
            rivals: Other pairs, among which the standing of these is judged, as it is among themselves.
            few: Up to so many pairs and rivals are compared by loops.
            known_rivals: Rows of the table by which pairs are ranked, of more rivals.
        """
        pool = arriving.pool
        compared = [*pairs, *rivals]
        others = sorted({key for pair in compared for key in pair} - arriving.keys)
        if others and arriving.known is None:
            raise EngineError(f"{len(others)} deals of the pairs are not given")
        theirs = arriving.known.tables(others, self.of_deals, pool) if others and arriving.known is not None else {}
        more, same = ({}, self._alone) if known_rivals is None else ({f"{self.ranked}{WITH_RIVALS}": known_rivals}, {})
        if self.loops is not None and arriving.rows is not None and len(compared) <= few:
            try:
                return self.loops.features(arriving.rows, pairs, rivals, theirs, more, same)
            except UNSAID as error:
                log.info("a small request is computed by columns", reason=repr(error))
        given = {REQUEST_PAIRS: _asked(compared, pool), **self._relations(pool)}
        mine = {name: arriving.table(name) for name in self.of_deals}
        if theirs:
            mine = {name: union([mine[name], in_columns_of(mine[name], theirs[name])]) for name in self.of_deals}
        found = self._features.run(given | mine, pool, more=more, same=same)(self.serving.features)
        if rivals:
            wanted = set(pairs)
            four = zip(*(found.column(name).to_list() for name in PAIR_COLUMNS), strict=True)
            places = [place for place, (a, b, c, d) in enumerate(four) if ((a, b), (c, d)) in wanted]
            found = found.take(np.array(places, np.int64))
        return found.rows()

    def ranking(self, segment: Segment, left: Array, right: Array, pool: Pool) -> Relation:
        """The rows of the table by which pairs are ranked.

        Args:
            segment: The deals.
            left: The place of the left deal of each pair.
            right: That of the right one.
            pool: The texts of all.
        """
        if self.ranked is None:
            raise EngineError("the policy names no table by which pairs are ranked")
        places, at = np.unique(np.concatenate([left, right]).astype(np.int64), return_inverse=True)
        mine = {name: segment.rows(name, places, pool) for name in self.of_deals}
        clean = mine[self.serving.candidates.indexed[0]]
        rows = rows_with(clean.column(DEAL_KEY).values, segment.deal_keys[places])[at]
        one, other = rows[: len(left)], rows[len(left) :]
        sides = zip(PAIR_COLUMNS, ("source", "deal_id") * 2, (one, one, other, other), strict=True)
        asked = {name: clean.column(of).take(rows) for name, of, rows in sides}
        given = {REQUEST_PAIRS: Relation(len(left), dict(asked)), **self._relations(pool)}
        alike = {name: in_order(mine[name], self._features.schema[name]) for name in mine}
        return self._features.run(given | alike, pool)(self.ranked)

    def ranked_among(
        self, deals: Sequence[Deal], pairs: Sequence[Pair], rivals: Sequence[Pair]
    ) -> list[dict[str, Any]]:
        """The features of pairs among rivals whose rows are made by themselves, as an index makes them."""
        arriving = self.arriving(deals, few=0)
        given = {REQUEST_PAIRS: _asked(rivals, arriving.pool), **self._relations(arriving.pool)}
        mine = {name: arriving.table(name) for name in self.of_deals}
        kept = self._features.run(given | mine, arriving.pool)(self.ranked or "")
        return self.features(arriving, pairs, few=0, known_rivals=kept)

    @property
    def ranked_columns(self) -> Sequence[str]:
        """The columns of the table by which pairs are ranked."""
        return self._features.schema[self.ranked or ""]

    def _of_deals(self, features: Mapping[str, Rendered], candidates: Mapping[str, Rendered]) -> tuple[str, ...]:
        """The tables that follow from the deals alone and that tables of pairs, or the index, read."""
        of_pairs: set[str] = set()
        for name, one in features.items():
            if one.needs & (of_pairs | {REQUEST_PAIRS}):
                of_pairs.add(name)
        read = {need for name in of_pairs for need in features[name].needs} - of_pairs
        wanted = (read & features.keys()) | set(self.serving.candidates.indexed)
        unknown = wanted - features.keys() - candidates.keys()
        if unknown:
            raise EngineError(f"tables to be indexed that are in no template: {', '.join(sorted(unknown))}")
        return tuple(sorted(wanted))

    def _relations(self, pool: Pool) -> dict[str, Relation]:
        """The frozen tables that are read whole."""
        return {
            name: Relation(count, {c: column_of(kind, values, pool) for c, (kind, values) in columns.items()})
            for name, (count, columns) in self._whole.items()
        }


class Arriving:
    """New deals of one request.

    Args:
        find: Gives the tables that follow from them.
        pool: Their texts.
        deals: They themselves.
        known: What the index knows of others.
        rows: The tables as lists, where they were made so.
    """

    def __init__(
        self,
        find: Callable[[str], Relation],
        pool: Pool,
        deals: Sequence[Deal],
        known: KnownTables | None,
        rows: Find | None = None,
    ) -> None:
        self._find = find
        self.rows = rows
        self.pool = pool
        self.deals = deals
        self.known = known
        self.keys = frozenset((deal["source"], deal["deal_id"]) for deal in deals)

    def table(self, name: str) -> Relation:
        """A table of the deals."""
        return self._find(name)


def _asked(pairs: Sequence[Pair], pool: Pool) -> Relation:
    """The table of the pairs that a request is about."""
    sides = zip(*((*left, *right) for left, right in pairs), strict=True) if pairs else [()] * 4
    return Relation(
        len(pairs), {name: TextColumn(pool, texts=list(texts)) for name, texts in zip(PAIR_COLUMNS, sides, strict=True)}
    )


def _lookup_maker(lookup: FrozenLookup) -> Maker:
    """Makes the rows of a frozen table that a request needs."""

    def make(find: Callable[[str], Relation], pool: Pool) -> Relation:
        of = find(lookup.of)
        different = distinct(Relation(of.count, {name: of.column(name) for name in lookup.key}))
        parts = [different.column(name).to_list() for name in lookup.key]
        keys = [*zip(*parts, strict=True), *lookup.always]
        places, values = lookup.find(keys)
        made: dict[str, Column] = {name: Column(numbers) for name, numbers in values.items()}
        for part, name in enumerate(lookup.key):
            made[name] = TextColumn(pool, texts=[keys[place][part] for place in places.tolist()])
        return Relation(len(places), {name: made[name] for name in lookup.names})

    return make


def _fingerprint(rendered: Sequence[Rendered], parameters: Mapping[str, Any], frozen: Mapping[str, pa.Table]) -> str:
    """Tells SQL, the parameters in it, and statistics from others."""
    digest = hashlib.sha256()
    for one in rendered:
        used = {parameter.name for parameter in one.query.find_all(exp.Parameter)}
        digest.update(repr(sorted((name, parameters.get(name)) for name in used)).encode())
        digest.update(one.query.sql("bigquery").encode())
    for name, table in sorted(frozen.items()):
        sums = [pc.sum(c).as_py() for c in table.columns if pa.types.is_integer(c.type) or pa.types.is_floating(c.type)]
        digest.update(repr((name, table.num_rows, sums)).encode())
    return digest.hexdigest()[:16]


def _whole(table: pa.Table) -> tuple[int, dict[str, tuple[str, list[Any]]]]:
    kinds = {pa.string(): "VARCHAR", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}
    columns = {}
    for field in table.schema:
        if field.type not in kinds:
            raise EngineError(f"a frozen column {field.name} of type {field.type}")
        columns[field.name] = (kinds[field.type], table.column(field.name).to_pylist())
    return table.num_rows, columns
