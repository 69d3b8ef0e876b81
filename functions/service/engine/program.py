"""The templates of one version, compiled: given some tables of a request, any other one that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from functions.service.engine.columns import EngineError
from functions.service.engine.lazy_tables import LazyTables
from functions.service.engine.relations import Relation, union
from functions.service.engine.selects import Query, compile_query
from functions.service.engine.strings import Pool

# A table of a request that is made otherwise than by SQL: from the request's other tables.
Maker = Callable[[Callable[[str], Relation], Pool], Relation]


class Program:
    """Compiled tables.

    Args:
        queries: The SELECT of each table, in the order of their needs.
        given: Columns of the tables that a request gives, or that `made` makes.
        made: Makes tables that no SELECT makes.
        parameters: Values of `@name`.

    Raises:
        EngineError: A query has something in it that is not known here; the text names both.
    """

    def __init__(
        self,
        queries: Mapping[str, exp.Expr],
        given: Mapping[str, Sequence[str]],
        made: Mapping[str, Maker],
        parameters: Mapping[str, Any],
    ) -> None:
        self._made = made
        self._queries: dict[str, Query] = {}
        schema = dict(given)
        for name, node in queries.items():
            try:
                query = compile_query(node, schema, parameters)
            except EngineError as error:
                raise EngineError(f"{name}: {error}") from error
            self._queries[name] = query
            schema[name] = query.names
        self.schema: Mapping[str, Sequence[str]] = schema

    def run(
        self,
        given: Mapping[str, Relation],
        pool: Pool,
        made: Mapping[str, Maker] | None = None,
        more: Mapping[str, Relation] | None = None,
        same: Mapping[str, str] | None = None,
    ) -> Callable[[str], Relation]:
        """The tables of one request; each is made when it is asked for.

        Args:
            given: The tables that there are already; where a table has a query, too, it is not run.
            pool: The pool of their texts.
            made: Makes more tables.
            more: Rows that there are already of tables that are made here; columns in the table's order.
            same: Tables that are not made, because they would be the same as others.
        """
        makers = {**self._made, **(made or {})}

        def make(name: str, find: Callable[[str], Relation]) -> Relation:
            if same is not None and name in same:
                found = find(same[name])
            elif name in makers:
                found = makers[name](find, pool)
            elif name in self._queries:
                found = self._queries[name].run(find, pool)
            else:
                raise EngineError(f"the table {name}, which the request does not give")
            return union([found, more[name]]) if more is not None and name in more else found

        return LazyTables(given, make)
