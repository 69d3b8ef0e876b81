"""A version's SQL over the deals of one request: a handful, which Python's loops have done before NumPy is under way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
from sqlglot import exp

from functions.service.engine.columns import TextColumn, typed_column
from functions.service.engine.relations import Relation
from functions.service.engine.rows.program import Find, Made, Program
from functions.service.engine.rows.tables import Columns, Table
from functions.service.engine.strings import Pool
from functions.service.frozen_lookup import FrozenLookup
from functions.service.policy import ServingPolicy
from functions.service.rendering import REQUEST_PAIRS
from functions.service.values import DEAL_COLUMNS, PAIR_COLUMNS, Deal, Pair

# A table's columns: `str` for text, NumPy's type for others.
Kinds = Mapping[str, Any]


class LoopedFeatures:
    """The compiled SQL of one version, for few rows. Threads may share it.

    Args:
        queries: The SELECT of each table, in the order of their needs.
        serving: The policy's section for the service.
        whole: The frozen tables that are read whole, by name.
        lookups: Those that are looked up.
        parameters: Values of `@name`.
        of_deals: The tables that follow from deals alone, and their columns' types.

    Raises:
        EngineError: Something in the SQL cannot be written as a loop; the text names it.
    """

    def __init__(
        self,
        queries: Mapping[str, exp.Expr],
        serving: ServingPolicy,
        whole: Mapping[str, pa.Table],
        lookups: Mapping[str, FrozenLookup],
        parameters: Mapping[str, Any],
        of_deals: Mapping[str, Kinds],
    ) -> None:
        self._serving = serving
        self._of_deals = of_deals
        self._frozen = {name: Table(table.num_rows, table.to_pydict()) for name, table in whole.items()}
        made = {name: _made(lookup) for name, lookup in lookups.items()}
        given = {serving.deals: tuple(DEAL_COLUMNS), REQUEST_PAIRS: tuple(PAIR_COLUMNS)}
        given |= {name: tuple(table.columns) for name, table in self._frozen.items()}
        self._program = Program(queries, given, made, parameters, [serving.features, *of_deals])

    def of(self, deals: Sequence[Deal]) -> Find:
        """The tables that follow from deals."""
        columns = {name: [_plain(kind, deal.get(name)) for deal in deals] for name, kind in DEAL_COLUMNS.items()}
        return self._program.run({self._serving.deals: Table(len(deals), columns), **self._frozen})

    def relation(self, table: Table, name: str, pool: Pool) -> Relation:
        """A table of deals as columns."""
        kinds = self._of_deals[name]
        return Relation(
            table.count, {column: partial(typed_column, kinds[column], table.columns[column], pool) for column in kinds}
        )

    def features(
        self,
        of_deals: Find,
        pairs: Sequence[Pair],
        rivals: Sequence[Pair],
        known: Mapping[str, Relation] | None = None,
        known_rivals: Mapping[str, Relation] | None = None,
        same: Mapping[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of the feature table for pairs of these deals and known ones; one row per pair, in any order.

        Args:
            of_deals: What `of` gave for the deals.
            pairs: The pairs.
            rivals: Other pairs of them, among which the standing of these is judged, as it is among themselves.
            known: The same tables of known deals.
            known_rivals: Rows of known pairs, by the table that they are to be put under.
            same: Tables that are the same as others.
        """
        compared = [*pairs, *rivals]
        sides = zip(*((*left, *right) for left, right in compared), strict=True)
        asked = Table(len(compared), dict(zip(PAIR_COLUMNS, map(list, sides), strict=True)))

        def both(name: str) -> Table:
            mine = of_deals(name)
            return mine if not known else _with(mine, known[name])

        earlier = dict.fromkeys(self._of_deals, both)
        more = {name: _listed(relation) for name, relation in (known_rivals or {}).items()}
        tables = self._program.run({**self._frozen, REQUEST_PAIRS: asked}, earlier, more, same)
        found = tables(self._serving.features)
        rows = [dict(zip(found.columns, row, strict=True)) for row in zip(*found.columns.values(), strict=True)]
        if not rivals:
            return rows
        wanted = {(*left, *right) for left, right in pairs}
        return [row for row in rows if tuple(row[name] for name in PAIR_COLUMNS) in wanted]


def _listed(relation: Relation) -> Table:
    return Table(relation.count, Columns(lambda name: relation.column(name).to_list()))


def _with(table: Table, more: Relation) -> Table:
    """The rows of a table and more of the same kind."""
    return Table(table.count + more.count, Columns(lambda name: [*table.columns[name], *more.column(name).to_list()]))


def kinds_of(relation: Relation) -> Kinds:
    """The types of a table's columns.

    Raises:
        EngineError: A column of arrays.
    """
    columns = {name: relation.column(name) for name in relation.names}
    return {name: str if isinstance(column, TextColumn) else column.values.dtype for name, column in columns.items()}


def _plain(kind: str, value: Any) -> Any:
    """A value of raw_deals as SQL sees it here: instants in UTC without a zone, decimals exact."""
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if kind.startswith("DECIMAL"):
        return Decimal(value)
    return float(value) if kind == "DOUBLE" else value


def _made(lookup: FrozenLookup) -> Made:
    """The rows of a frozen table that a request needs."""

    def make(find: Callable[[str], Table]) -> Table:
        of = find(lookup.of)
        keys = [*dict.fromkeys(zip(*(of.columns[name] for name in lookup.key), strict=True)), *lookup.always]
        places, values = lookup.find(keys)
        columns = {name: numbers.tolist() for name, numbers in values.items()}
        for part, name in enumerate(lookup.key):
            columns[name] = [keys[place][part] for place in places.tolist()]
        return Table(len(places), columns)

    return Made(lookup.names, {lookup.of: lookup.key}, make)
