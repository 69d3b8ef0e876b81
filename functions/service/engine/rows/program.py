"""The templates of one version as loops: given some tables of a request, those that follow from them.

CTEs and subqueries are tables like the others here, and of each table only those columns are made that somebody reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from functions.service.engine.columns import EngineError
from functions.service.engine.lazy_tables import LazyTables
from functions.service.engine.parsing import listed
from functions.service.engine.rows.selects import Run, SelectCode
from functions.service.engine.rows.tables import Table, stacked

Find = Callable[[str], Table]


@dataclass(frozen=True)
class Made:
    """A table of a request that is made otherwise than by SQL.

    Attributes:
        names: Its columns.
        reads: The columns that it is made of, by table.
        make: Makes it of the request's other tables.
    """

    names: Sequence[str]
    reads: Mapping[str, Sequence[str]]
    make: Callable[[Find], Table]


class Program:
    """Tables as loops.

    Args:
        queries: The SELECT of each table, in the order of their needs.
        given: Columns of the tables that a request gives.
        made: Tables that no SELECT makes.
        parameters: Values of `@name`.
        targets: The tables that will be asked for.

    Raises:
        EngineError: A query has something in it that cannot be written as a loop; the text names both.
    """

    def __init__(
        self,
        queries: Mapping[str, exp.Expr],
        given: Mapping[str, Sequence[str]],
        made: Mapping[str, Made],
        parameters: Mapping[str, Any],
        targets: Sequence[str],
    ) -> None:
        self._parameters = parameters
        self._made = made
        self._schema: dict[str, Sequence[str]] = {**given, **{name: one.names for name, one in made.items()}}
        self._parsed: dict[str, SelectCode | _Union] = {}
        for name, node in queries.items():
            try:
                self._flatten(name, node, {known: known for known in self._schema})
            except EngineError as error:
                raise EngineError(f"{name}: {error}") from error
        self._runs = self._written(targets)

    def run(
        self,
        given: Mapping[str, Table],
        earlier: Mapping[str, Find] | None = None,
        more: Mapping[str, Table] | None = None,
        same: Mapping[str, str] | None = None,
    ) -> Find:
        """The tables of one request; each is made when it is asked for.

        Args:
            given: The tables that there are already; where a table has a query, too, it is not run.
            earlier: Where other tables come from, that an earlier run makes.
            more: Rows that there are already of tables that are made here.
            same: Tables that are not made, because they would be the same as others.
        """
        others = earlier or {}

        def make(name: str, find: Find) -> Table:
            made = self._made.get(name)
            if same is not None and name in same:
                found = find(same[name])
            elif name in others:
                found = others[name](name)
            elif made is not None:
                found = made.make(find)
            else:
                needs, run = self._runs[name]
                found = run(*[find(need) for need in needs])
            return stacked([found, more[name]], list(found.columns)) if more is not None and name in more else found

        return LazyTables(given, make)

    def _flatten(self, name: str, node: exp.Expr, scope: Mapping[str, str]) -> None:
        """Parse a query, and before it the CTEs and subqueries in it, each a table of its own name."""
        if isinstance(node, exp.Subquery):
            self._flatten(name, node.this, scope)
            return
        mine = dict(scope)
        with_ = node.args.get("with_") or node.args.get("with")
        for cte in with_.expressions if with_ is not None else ():
            unique = f"{name}/{cte.alias}"
            self._flatten(unique, cte.this, mine)
            mine[cte.alias] = unique
        if isinstance(node, exp.Union):
            parts = [f"{name}/1", f"{name}/2"]
            for part, query in zip(parts, (node.this, node.expression), strict=True):
                self._flatten(part, query, mine)
            self._parsed[name] = _Union(parts, is_distinct=bool(node.args.get("distinct")))
            self._schema[name] = self._schema[parts[0]]
        elif isinstance(node, exp.Select):
            for subquery in node.find_all(exp.Subquery):
                if subquery.parent_select is node and subquery.alias:
                    unique = f"{name}/{subquery.alias}"
                    self._flatten(unique, subquery.this, mine)
                    mine[subquery.alias] = unique
            parsed = SelectCode(node, mine, self._schema, self._parameters)
            self._parsed[name] = parsed
            self._schema[name] = [column for column, _ in listed(node, parsed.sources)]
        else:
            raise EngineError(f"{node.key.upper()} in the place of a SELECT")

    def _written(self, targets: Sequence[str]) -> dict[str, tuple[Sequence[str], Run]]:
        """The loop of each table that the targets follow from, and the tables that it reads."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for target in targets:
            wanted[target].update(self._schema[target])
        runs: dict[str, tuple[Sequence[str], Run]] = {}
        for name in reversed(self._parsed):
            self._want_of_made(wanted)
            if name not in wanted:
                continue
            parsed = self._parsed[name]
            if isinstance(parsed, _Union):
                runs[name] = parsed.parts, self._stacked(name, parsed, wanted)
                continue
            try:
                loop = parsed.write([column for column in self._schema[name] if column in wanted[name]])
            except EngineError as error:
                raise EngineError(f"{name}: {error}") from error
            for table, columns in loop.reads.items():
                wanted[table].update(columns)
            runs[name] = loop.tables, loop.run
        return runs

    def _want_of_made(self, wanted: dict[str, set[str]]) -> None:
        for name, made in self._made.items():
            if name in wanted:
                for table, columns in made.reads.items():
                    wanted[table].update(columns)

    def _stacked(self, name: str, union: _Union, wanted: dict[str, set[str]]) -> Run:
        places = [
            place for place, column in enumerate(self._schema[name]) if union.is_distinct or column in wanted[name]
        ]
        names = [self._schema[name][place] for place in places]
        theirs = [[self._schema[part][place] for place in places] for part in union.parts]
        for part, columns in zip(union.parts, theirs, strict=True):
            wanted[part].update(columns)
        is_distinct = union.is_distinct

        def run(*parts: Table) -> Table:
            alike = [
                Table(part.count, {mine: part.columns[its] for mine, its in zip(names, columns, strict=True)})
                for part, columns in zip(parts, theirs, strict=True)
            ]
            return stacked(alike, names, different=is_distinct)

        return run


class _Union:
    def __init__(self, parts: Sequence[str], *, is_distinct: bool) -> None:
        self.parts = parts
        self.is_distinct = is_distinct
