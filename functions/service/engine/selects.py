"""The compiler of one SELECT: FROM and joins, WHERE, GROUP BY, windows, the list, DISTINCT, UNION."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sqlglot import exp

from functions.service.engine import parsing
from functions.service.engine.columns import Column, EngineError, ListColumn
from functions.service.engine.expressions import Evaluate, Expressions
from functions.service.engine.grouping import Groups, grouped
from functions.service.engine.lazy_tables import LazyTables
from functions.service.engine.numbers import is_true
from functions.service.engine.parsing import (
    add_source,
    aggregates_in,
    check_join,
    check_parts,
    check_source,
    keys_of,
    unnested,
)
from functions.service.engine.relations import Frame, Relation, RowWise, matches, union
from functions.service.engine.strings import Codes, Pool

Tables = Callable[[str], Relation]
Run = Callable[[Tables, Pool], Relation]


@dataclass(frozen=True)
class Query:
    """A compiled query.

    Attributes:
        names: Its columns.
        run: Computes it from the tables of a request.
    """

    names: tuple[str, ...]
    run: Run


def compile_query(node: exp.Expr, schema: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> Query:
    """Compile a query.

    Args:
        node: sqlglot's tree.
        schema: The columns of the tables that it may read, by name.
        parameters: Values of `@name`.

    Raises:
        EngineError: It has something in it that is not known here.
    """
    local: dict[str, Query] = {}
    with_ = node.args.get("with_") or node.args.get("with")
    known = dict(schema)
    for cte in with_.expressions if with_ is not None else ():
        query = compile_query(cte.this, known, parameters)
        local[cte.alias] = query
        known[cte.alias] = query.names
    body = _compile_body(node, known, parameters)
    if not local:
        return body

    def run(tables: Tables, pool: Pool) -> Relation:
        def make(name: str, find: Tables) -> Relation:
            return local[name].run(find, pool) if name in local else tables(name)

        return body.run(LazyTables({}, make), pool)

    return Query(body.names, run)


def _compile_body(node: exp.Expr, schema: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> Query:
    if isinstance(node, exp.Subquery):
        return compile_query(node.this, schema, parameters)
    if isinstance(node, exp.Union):
        return _compile_union(node, schema, parameters)
    if isinstance(node, exp.Select):
        return _Select(node, schema, parameters).compile()
    raise EngineError(f"{node.key.upper()} in the place of a SELECT")


def _compile_union(node: exp.Union, schema: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> Query:
    left = compile_query(node.this, schema, parameters)
    right = compile_query(node.expression, schema, parameters)
    is_distinct = bool(node.args.get("distinct"))

    def run(tables: Tables, pool: Pool) -> Relation:
        both = union([left.run(tables, pool), right.run(tables, pool)])
        return distinct(both) if is_distinct else both

    return Query(left.names, run)


def distinct(relation: Relation) -> Relation:
    """Each different row once."""
    groups = grouped([relation.column(name) for name in relation.names], relation.count)
    return relation if len(groups.starts) == relation.count else relation.take(groups.firsts)


class _Select:
    """Compiles one SELECT."""

    def __init__(self, node: exp.Select, schema: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> None:
        check_parts(node)
        self._node = node
        self._schema = schema
        self._parameters = parameters
        self._sources: dict[str, Sequence[str]] = {}

    def compile(self) -> Query:
        """The compiled SELECT."""
        steps = [self._first(), *(self._join(join) for join in self._node.args.get("joins") or ())]
        expressions = Expressions(self._sources, self._parameters)
        where = self._condition(expressions, "where")
        listed, having, qualify = (
            parsing.listed(self._node, self._sources),
            self._node.args.get("having"),
            self._node.args.get("qualify"),
        )
        grouping = None
        if self._node.args.get("group") is not None or any(aggregates_in(node) for _, node in listed) or having:
            grouping, expressions = self._grouping(expressions, [node for _, node in listed])
        columns = [(name, expressions.compile(node)) for name, node in listed]
        # A column that only passes is asked of the frame at once.
        passing = {
            name: (parsing.alias_of(node, self._sources), node.name)
            for name, node in listed
            if grouping is None and isinstance(node, exp.Column)
        }
        row_wise = {name for name, node in listed if node.find(exp.Window) is None}
        after = [expressions.compile(part.this) for part in (having, qualify) if part is not None]
        is_distinct = self._node.args.get("distinct") is not None

        def run(tables: Tables, pool: Pool) -> Relation:
            frame = Frame(1, pool, {})
            for step in steps:
                frame = step(frame, tables)
            if where is not None:
                frame = _filtered(frame, where)
            if grouping is not None:
                frame = grouping(frame)
            makers: dict[str, Column | Callable[[], Column]] = {
                name: _Passing(frame, *passing[name])
                if name in passing
                else (_Computed(column, frame) if name in row_wise else partial(column, frame))
                for name, column in columns
            }
            result = Relation(frame.count, makers)
            for condition in after:
                # What windows say of the rows is said before any of them is left out.
                keep = np.flatnonzero(is_true(condition(frame).spread(frame.count)))
                if len(keep) < frame.count:
                    if len(after) > 1:
                        raise EngineError("HAVING and QUALIFY together")
                    result = result.take(keep)
            return distinct(result) if is_distinct else result

        return Query(tuple(name for name, _ in columns), run)

    def _condition(self, expressions: Expressions, part: str) -> Evaluate | None:
        node = self._node.args.get(part)
        return None if node is None else expressions.compile(node.this)

    # FROM and joins.

    def _first(self) -> Callable[[Frame, Tables], Frame]:
        node = self._node.args.get("from_") or self._node.args.get("from")
        if node is None:
            return lambda frame, _tables: frame
        return self._crossed(node.this)

    def _source(self, node: exp.Expr) -> tuple[str, Run]:
        check_source(node)
        if isinstance(node, exp.Table):
            name = node.name
            if name not in self._schema:
                raise EngineError(f"the table {name}, which is not known")
            alias, names = node.alias or name, tuple(self._schema[name])
            run: Run = lambda tables, _pool: tables(name)  # noqa: E731 -- one of two of a kind
        elif isinstance(node, exp.Subquery):
            query = compile_query(node.this, self._schema, self._parameters)
            alias, names, run = node.alias, query.names, query.run
        else:
            raise EngineError(f"{node.key.upper()} in a FROM")
        add_source(self._sources, alias, names)
        return alias, run

    def _crossed(self, node: exp.Expr) -> Callable[[Frame, Tables], Frame]:
        if isinstance(node, exp.Unnest):
            return self._unnest(node)
        alias, run = self._source(node)

        def step(frame: Frame, tables: Tables) -> Frame:
            relation = run(tables, frame.pool)
            if not frame.sources:
                return Frame(relation.count, frame.pool, {alias: (relation, None, None)})
            if relation.count == 1:
                return frame.beside(alias, relation)
            mine = np.repeat(np.arange(frame.count), relation.count)
            return frame.with_source(alias, relation, mine, np.tile(np.arange(relation.count), frame.count))

        return step

    def _unnest(self, node: exp.Unnest) -> Callable[[Frame, Tables], Frame]:
        name, place = unnested(node)
        array = Expressions(dict(self._sources), self._parameters).compile(node.expressions[0])
        add_source(self._sources, f"unnest {name}", (name,) if place is None else (name, place))

        def step(frame: Frame, _tables: Tables) -> Frame:
            lists = array(frame).spread(frame.count)
            if not isinstance(lists, ListColumn):
                raise EngineError("UNNEST of what is no array")
            sizes = lists.sizes
            mine = np.repeat(np.arange(frame.count), sizes)
            made: dict[str, Column] = {name: lists.items}
            if place is not None:
                made[place] = Column(np.arange(len(mine)) - np.repeat(np.cumsum(sizes) - sizes, sizes))
            relation = Relation(len(mine), made)
            return frame.with_source(f"unnest {name}", relation, mine, np.arange(len(mine)))

        return step

    def _join(self, join: exp.Join) -> Callable[[Frame, Tables], Frame]:
        is_left, condition = check_join(join)
        if condition is None:
            return self._crossed(join.this)
        before = dict(self._sources)
        alias, run = self._source(join.this)
        keys, rest = keys_of(condition, before, {alias: self._sources[alias]})
        compiler = Expressions(before, self._parameters)
        left, right = [compiler.compile(one) for one, _ in keys], [name for _, name in keys]
        residual = None
        if rest is not None:
            residual = Expressions(dict(self._sources), self._parameters).compile(rest)

        def step(frame: Frame, tables: Tables) -> Frame:
            relation = run(tables, frame.pool)
            if right:
                mine, places = matches([one(frame) for one in left], relation, right, frame.count)
            else:
                mine = np.repeat(np.arange(frame.count), relation.count)
                places = np.tile(np.arange(relation.count), frame.count)
            if residual is not None:
                both = frame.with_source(alias, relation, mine, places)
                keep = np.flatnonzero(is_true(residual(both).spread(both.count)))
                mine, places = mine[keep], places[keep]
            if not is_left:
                return frame.with_source(alias, relation, mine, places)
            return _left_joined(frame, alias, relation, mine, places)

        return step

    # GROUP BY.

    def _grouping(self, inner: Expressions, listed: Sequence[exp.Expr]) -> tuple[Callable[[Frame], Frame], Expressions]:
        group = self._node.args.get("group")
        keys = list(group.expressions) if group is not None else []
        having = self._node.args.get("having")
        found: list[exp.Expr] = []
        for node in [*listed, *([having.this] if having is not None else [])]:
            found += [one for one in aggregates_in(node) if one not in found]
        computed = [inner.aggregate(node) for node in found]
        key_values = [inner.compile(key) for key in keys]
        names = [f"{place}" for place in range(len(keys) + len(found))]
        given = {
            node: (lambda frame, name=name: frame.column("grouped", name))
            for node, name in zip([*keys, *found], names, strict=True)
        }
        for key in keys:
            for same in parsing.spellings(key, self._sources):
                given.setdefault(same, given[key])

        def apply(frame: Frame) -> Frame:
            columns = [one(frame).spread(frame.count) for one in key_values]
            groups = grouped(columns, frame.count)
            if not keys and not frame.count:
                groups = Groups(None, np.zeros(1, np.int64), 0)
            firsts = groups.firsts
            made: dict[str, Any] = {}
            for name, column in zip(names, columns, strict=False):
                made[name] = column.take(firsts)
            for name, reduce in zip(names[len(keys) :], computed, strict=True):
                made[name] = partial(reduce, frame, groups)
            return Frame(len(groups.starts), frame.pool, {"grouped": (Relation(len(groups.starts), made), None, None)})

        return apply, Expressions({"grouped": names}, self._parameters, given)


class _Passing(RowWise):
    """A column of a frame as it is."""

    __slots__ = ("alias", "frame", "name")

    def __init__(self, frame: Frame, alias: str, name: str) -> None:
        self.frame = frame
        self.alias = alias
        self.name = name

    def __call__(self) -> Column:
        return self.frame.column(self.alias, self.name)

    def at(self, places: Codes) -> Column:
        return self.frame.column_at(self.alias, self.name, places)


class _Computed(RowWise):
    """A column that is computed row by row from those of a frame."""

    __slots__ = ("column", "frame")

    def __init__(self, column: Evaluate, frame: Frame) -> None:
        self.column = column
        self.frame = frame

    def __call__(self) -> Column:
        return self.column(self.frame)

    def at(self, places: Codes) -> Column:
        return self.column(self.frame.take(places)).spread(len(places))


def _filtered(frame: Frame, condition: Evaluate) -> Frame:
    keep = is_true(condition(frame).spread(frame.count))
    return frame if keep.all() else frame.take(np.flatnonzero(keep))


def _left_joined(frame: Frame, alias: str, relation: Relation, mine: Any, places: Any) -> Frame:
    matched = np.zeros(frame.count, np.bool_)
    matched[mine] = True
    alone = np.flatnonzero(~matched)
    if not len(alone):
        return frame.with_source(alias, relation, mine, places)
    mine = np.concatenate([mine, alone])
    places = np.concatenate([places, np.zeros(len(alone), np.int64)])
    missing = np.zeros(len(mine), np.bool_)
    missing[-len(alone) :] = True
    order = np.argsort(mine, kind="stable")
    return frame.with_source(alias, relation, mine[order], places[order], missing[order])
