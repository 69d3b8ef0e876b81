"""The feature templates of one version as one DuckDB statement: deals and pairs in, features out.

The templates are those of the run that trained the version, and so are the frozen statistics. All of them become one
statement, table by table a common table expression, prepared once a thread: planning it takes longer than running it.
Its inputs are parameters and not tables, because DuckDB plans a prepared statement for what its tables hold at that time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa
import structlog
from sqlglot import exp

from etl.model_policy import ModelPolicy
from etl.templates import Templates, in_order
from functions.service.compiled_features import Arriving, CompiledFeatures, KnownTables
from functions.service.connection_pool import ConnectionPool
from functions.service.duckdb_statements import add_table, bound, step
from functions.service.engine.columns import EngineError
from functions.service.frozen_lookup import JOINT, FrozenLookup
from functions.service.policy import ServingPolicy
from functions.service.probes import first_difference, probe_deals, probe_pairs
from functions.service.rendering import REQUEST_PAIRS, rendered_tables
from functions.service.sql_functions import add_function, add_functions
from functions.service.translation import to_duckdb
from functions.service.values import DEAL_COLUMNS, PAIR_COLUMNS, Deal, Pair, as_bigquery

log = structlog.get_logger(__name__)


class FeatureProgram:
    """Features as one version computes them. Threads may share it.

    Args:
        templates: The SQL of the run that trained the version.
        policy: The policy of that run.
        serving: Its section for the service.
        frozen: The frozen tables of that run, by name.

    Raises:
        TemplateError: A template uses what the service's engine does not compute alike.
    """

    def __init__(
        self, templates: Templates, policy: ModelPolicy, serving: ServingPolicy, frozen: Mapping[str, pa.Table]
    ) -> None:
        self._templates = templates
        self._policy = policy
        self._serving = serving
        self._database = duckdb.connect(config={"threads": 1})
        add_functions(self._database)
        self._lookups = {n: FrozenLookup(frozen[n], lookup) for n, lookup in serving.lookups.items() if n in frozen}
        self._whole = frozen.keys() - self._lookups.keys()
        for name, lookup in self._lookups.items():
            for value, kind in lookup.types.items():
                written = "DOUBLE" if pa.types.is_floating(kind) else "BIGINT"
                add_function(self._database, f"{name}_{value}", partial(lookup.column, value), 1, written)
        for name in self._whole:
            add_table(self._database, name, frozen[name])
        self.sql = self.compose(
            serving.features,
            {serving.deals: _parameter(1, DEAL_COLUMNS), REQUEST_PAIRS: _parameter(2, PAIR_COLUMNS)},
        )
        self._ready = ConnectionPool(self._prepared)
        self.compiled = self._compile(frozen)

    def arriving(self, deals: Sequence[Deal], known: KnownTables | None = None) -> Arriving | None:
        """New deals of one request on their way through the compiled SQL; None where it could not be compiled."""
        return None if self.compiled is None else self.compiled.arriving(deals, known)

    def compute(
        self, deals: Sequence[Deal], pairs: Sequence[Pair], rivals: Sequence[Pair] = ()
    ) -> list[dict[str, Any]]:
        """The rows of the feature table for pairs of deals; one row per pair, in any order.

        Args:
            deals: Each deal once: the columns of raw_deals, what is missing is NULL.
            pairs: Pairs of them.
            rivals: Other pairs, among which the standing of these is judged, as it is among themselves.
        """
        if self.compiled is not None:
            return self.compiled.features(self.compiled.arriving(deals), pairs, rivals)
        wanted = set(pairs)
        return [row for row in self.compute_in_database(deals, [*pairs, *rivals]) if _pair_of(row) in wanted]

    def compute_in_database(self, deals: Sequence[Deal], pairs: Sequence[Pair]) -> list[dict[str, Any]]:
        """The same by DuckDB, which is the judge of the compiled SQL."""
        asked = (dict(zip(PAIR_COLUMNS, (*left, *right), strict=True)) for left, right in pairs)
        arguments = f"{_rows(deals, DEAL_COLUMNS)}, {_rows(asked, PAIR_COLUMNS)}"
        with self._ready.lent() as connection:
            found = connection.execute(f"EXECUTE features({arguments})").to_arrow_table()
        return list(as_bigquery(found).to_pylist())

    def _compile(self, frozen: Mapping[str, pa.Table]) -> CompiledFeatures | None:
        """The SQL on the service's own engine, if it gives what DuckDB gives for the probes; else DuckDB goes on."""
        try:
            compiled = CompiledFeatures(self._templates, self._policy, self._serving, frozen, self._lookups)
            deals, pairs = probe_deals(), probe_pairs()
            expected = self.compute_in_database(deals, pairs)
            difference = first_difference(expected, compiled.features(compiled.arriving(deals, few=0), pairs, few=0))
            if difference is None:
                looped = compiled.features(compiled.arriving(deals), pairs, few=len(pairs))
                by_loops = first_difference(expected, looped)
                if by_loops is not None:
                    log.warning("small requests are computed by columns, too", reason=by_loops)
                    compiled.loops = None
                self._check_ranked(compiled, deals, pairs)
                return compiled
        except (EngineError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            difference = f"{type(error).__name__}: {error}"
        log.warning("the features are computed by DuckDB, which takes ten times as long", reason=difference)
        return None

    @staticmethod
    def _check_ranked(compiled: CompiledFeatures, deals: Sequence[Deal], pairs: Sequence[Pair]) -> None:
        """Have the index keep what pairs are ranked by only if that follows from each pair alone."""
        if compiled.ranked is None:
            return
        asked, rivals = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
        together = compiled.features(compiled.arriving(deals, few=0), asked, rivals, few=0)
        difference = first_difference(together, compiled.ranked_among(deals, asked, rivals))
        if difference is not None:
            log.warning("rivals are computed at each request", reason=f"{compiled.ranked}: {difference}")
            compiled.ranked = None

    def _prepared(self) -> duckdb.DuckDBPyConnection:
        connection = self._database.cursor()
        connection.execute(f"PREPARE features AS {self.sql}")
        return connection

    def compose(self, target: str, given: Mapping[str, str], *, only: Mapping[str, str] | None = None) -> str:
        """One DuckDB statement for a table of the templates.

        Args:
            target: The table that is wanted.
            given: Tables that are not built from their templates, with the query that gives each.
            only: By alias in the target's own template, the condition on the rows that it stands for.
        """
        rendered = rendered_tables(self._templates, self._policy, self._serving, target, given)
        whole = self._whole | given.keys()
        needs = {name: one.needs - whole for name, one in rendered.items()}
        for name, lookup in self._serving.lookups.items():
            needs[name] = frozenset({lookup.of} - whole)
        steps = [step(name, query) for name, query in given.items()]
        for name in in_order(needs, [target]):
            if name in self._serving.lookups:
                query: exp.Query = self._looked_up(name)
            else:
                query = bound(to_duckdb(rendered[name].query, rendered[name].path), self._policy)
            if name == target:
                _restrict(query, only or {})
            steps.append(step(name, query.sql("duckdb")))
        return f"WITH {', '.join(steps)} SELECT * FROM {target}"

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A connection of the caller's own to the program's database, which knows its functions and frozen tables."""
        return self._database.cursor()

    def _looked_up(self, name: str) -> exp.Query:
        """The rows of a frozen table that a request needs."""
        lookup = self._lookups[name]
        keys = [exp.column(k) for k in lookup.key]
        wanted: exp.Query = exp.select(*keys).distinct().from_(lookup.of)
        for key in lookup.always:
            constants = [exp.alias_(exp.Literal.string(part), k) for part, k in zip(key, lookup.key, strict=True)]
            wanted = exp.union(wanted, exp.select(*constants), distinct=True)
        joined = exp.func("concat_ws", exp.Literal.string(JOINT), *(k.copy() for k in keys))
        values = [
            exp.alias_(exp.Anonymous(this=f"{name}_{column}", expressions=[joined.copy()]), column)
            for column in lookup.types
        ]
        found = exp.select(*keys, *values).from_(wanted.subquery("wanted"))
        known = exp.or_(*(exp.not_(exp.Is(this=exp.column(v.alias), expression=exp.Null())) for v in values))
        return exp.select("*").from_(found.subquery("found")).where(known)


def _pair_of(row: Mapping[str, Any]) -> Pair:
    return (row["left_source"], row["left_id"]), (row["right_source"], row["right_id"])


def _restrict(query: exp.Query, only: Mapping[str, str]) -> None:
    """Let a table under one of these aliases have the rows alone that meet the condition."""
    for table in list(query.find_all(exp.Table)):
        condition = only.get(table.alias)
        if condition is not None:
            rows = exp.select("*").from_(exp.to_table(table.name)).where(condition, dialect="duckdb")
            table.replace(rows.subquery(table.alias))


def _struct(columns: Mapping[str, str]) -> str:
    return "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in columns.items()) + ")[]"


def _parameter(number: int, columns: Mapping[str, str]) -> str:
    return f"SELECT unnest(${number}::{_struct(columns)}, recursive := true)"


def _rows(rows: Any, columns: Mapping[str, str]) -> str:
    """Rows as a typed literal: a prepared statement is planned again where a type differs by a hair."""
    texts = ("{" + ", ".join(f"'{c}': {_literal(row.get(c))}" for c in columns) + "}" for row in rows)
    return f"[{', '.join(texts)}]::{_struct(columns)}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, dt.datetime):
        value = (value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat(sep=" ")
    elif isinstance(value, Decimal):
        value = format(value, "f")
    return "'" + str(value).replace("'", "''") + "'"
