"""One SELECT as the source of a Python function: a loop in a loop for its joins, and at the end of each row the columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from functions.service.engine import parsing
from functions.service.engine.columns import EngineError
from functions.service.engine.parsing import (
    add_source,
    aggregates_in,
    check_join,
    check_parts,
    check_source,
    keys_of,
    unnested,
)
from functions.service.engine.rows import tables
from functions.service.engine.rows.body import Body
from functions.service.engine.rows.tables import Table

Run = Callable[..., Table]


@dataclass(frozen=True)
class Loop:
    """A SELECT that has been written.

    Attributes:
        run: Its function, of the tables that it reads.
        tables: These tables, in the order of the arguments.
        reads: The columns that it reads of each.
    """

    run: Run
    tables: Sequence[str]
    reads: Mapping[str, set[str]]


class SelectCode:
    """Writes one SELECT.

    Args:
        node: Its tree.
        scope: The table that a name in it stands for.
        schema: The columns of the tables.
        parameters: Values of `@name`.

    Raises:
        EngineError: It has something in it that is not known here.
    """

    def __init__(
        self,
        node: exp.Select,
        scope: Mapping[str, str],
        schema: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
    ) -> None:
        check_parts(node)
        self._node = node
        self._scope = scope
        self._schema = schema
        self._parameters = parameters
        self.sources: dict[str, Sequence[str]] = {}
        self._steps: list[Callable[[Body], None]] = []
        first = node.args.get("from_") or node.args.get("from")
        if first is None:
            raise EngineError("a SELECT without FROM")
        self._steps.append(self._crossed(first.this))
        self._steps += [self._join(join) for join in node.args.get("joins") or ()]

    def write(self, wanted: Sequence[str]) -> Loop:
        """The function that gives these columns.

        Raises:
            EngineError: There is no code for something in it.
        """
        body = Body(self.sources, self._parameters)
        for step in self._steps:
            step(body)
        where = self._node.args.get("where")
        if where is not None:
            body.emit(f"if not {body.writer.holds(where.this)}:")
            body.emit("    continue")
        is_distinct = self._node.args.get("distinct") is not None
        outputs = [
            (name, node) for name, node in parsing.listed(self._node, self.sources) if is_distinct or name in wanted
        ]
        conditions = [part.this for part in (self._node.args.get("having"), self._node.args.get("qualify")) if part]
        roots = [*(node for _, node in outputs), *conditions]
        group = self._node.args.get("group")
        if group is not None or any(aggregates_in(root) for root in roots):
            body.group(list(group.expressions) if group is not None else [], roots)
        windows = list(dict.fromkeys(one for root in roots for one in root.find_all(exp.Window)))
        if windows:
            body.windows(windows)
        for statement in body.writer.shared(roots):
            body.emit(statement)
        for condition in conditions:
            body.emit(f"if not {body.writer.holds(condition)}:")
            body.emit("    continue")
        values = [body.writer.value(node) for _, node in outputs] or ["True"]
        for place, value in enumerate(values):
            body.emit(f"add_{place}({value})")
        names = [name for name, _ in outputs]
        make = body.function(len(values))

        def run(*given: Table) -> Table:
            lists = make(*given)
            if is_distinct:
                lists = tables.unlike(lists)
            return Table(len(lists[0]), dict(zip(names, lists, strict=False)))

        return Loop(run, body.tables, body.reads)

    # FROM and joins.

    def _source(self, node: exp.Expr) -> tuple[str, str]:
        check_source(node)
        name = node.name if isinstance(node, exp.Table) else node.alias
        table = self._scope.get(name)
        if table is None or not isinstance(node, exp.Table | exp.Subquery):
            raise EngineError(f"the table {name}, which is not known")
        alias = node.alias or name
        add_source(self.sources, alias, self._schema[table])
        return alias, table

    def _crossed(self, node: exp.Expr) -> Callable[[Body], None]:
        if isinstance(node, exp.Unnest):
            element, place = unnested(node)
            alias = f"unnest {element}"
            add_source(self.sources, alias, (element,) if place is None else (element, place))
            array = node.expressions[0]
            return lambda body: body.unnest(alias, element, place, array)
        alias, table = self._source(node)
        return lambda body: body.join(alias, table, [], None, is_left=False)

    def _join(self, join: exp.Join) -> Callable[[Body], None]:
        is_left, condition = check_join(join)
        if condition is None:
            return self._crossed(join.this)
        before = dict(self.sources)
        alias, table = self._source(join.this)
        keys, rest = keys_of(condition, before, {alias: self.sources[alias]})
        return lambda body: body.join(alias, table, keys, rest, is_left=is_left)
