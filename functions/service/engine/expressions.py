"""The compiler of one expression: from sqlglot's tree to a function over a frame.

Equal expressions of one SELECT are computed once a frame, however often a macro has written them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlglot import exp

from functions.service.engine import aggregates, numbers, texts, windows
from functions.service.engine.columns import Column, EngineError, ListColumn, TextColumn, constant
from functions.service.engine.columns import joined as stacked
from functions.service.engine.grouping import Groups, grouped
from functions.service.engine.parsing import (
    AGGREGATE_KINDS,
    alias_of,
    check_series,
    check_window,
    range_as_comparisons,
    shift_of,
    type_of,
    window_order,
)
from functions.service.engine.relations import Frame
from functions.service.engine.text_functions import TextFunction, text_function

Evaluate = Callable[[Frame], Column]

_BINARY: Mapping[type[exp.Expr], Callable[[Column, Column], Column]] = {
    exp.Add: numbers.arithmetic(operator.add),
    exp.Sub: numbers.arithmetic(operator.sub),
    exp.Mul: numbers.arithmetic(operator.mul),
    exp.Div: numbers.divide,
    exp.Mod: numbers.modulo,
    exp.SafeDivide: numbers.safe_divide,
    exp.EQ: numbers.comparison(operator.eq, "=="),
    exp.NEQ: numbers.comparison(operator.ne, "!="),
    exp.LT: numbers.comparison(operator.lt, "<"),
    exp.LTE: numbers.comparison(operator.le, "<="),
    exp.GT: numbers.comparison(operator.gt, ">"),
    exp.GTE: numbers.comparison(operator.ge, ">="),
    exp.And: numbers.both,
    exp.Or: numbers.any_of,
}
_UNARY: Mapping[type[exp.Expr], Callable[[Column], Column]] = {
    exp.Not: numbers.negation,
    exp.Abs: numbers.function(np.abs),
    exp.Ceil: numbers.function(np.ceil),
    exp.Exp: numbers.function(np.exp),
    exp.Floor: numbers.function(np.floor),
    exp.Ln: numbers.function(np.log),
    exp.Sign: numbers.function(np.sign),
    exp.Sqrt: numbers.function(np.sqrt),
    exp.Neg: numbers.function(np.negative),
}
_AGGREGATES: Mapping[type[exp.Expr], aggregates.Reduce] = {
    exp.Sum: aggregates.total,
    exp.Avg: aggregates.mean,
    exp.Max: aggregates.most,
    exp.Min: aggregates.least,
    exp.CountIf: aggregates.count_if,
    exp.LogicalAnd: aggregates.all_of,
    exp.LogicalOr: aggregates.any_true,
}
_RANKS: Mapping[type[exp.Expr], Callable[[windows.Ordering], Column]] = {
    exp.RowNumber: windows.row_number,
    exp.Rank: windows.rank,
    exp.DenseRank: windows.dense_rank,
}


class Expressions:
    """Compiles the expressions of one SELECT.

    Args:
        sources: By alias the names of a table's columns.
        parameters: Values of `@name`.
        given: Expressions that are columns already, such as those that a GROUP BY made.
    """

    def __init__(
        self,
        sources: Mapping[str, Sequence[str]],
        parameters: Mapping[str, Any],
        given: Mapping[exp.Expr, Evaluate] | None = None,
    ) -> None:
        self._sources = sources
        self._parameters = parameters
        self._given = given or {}
        self._compiled: dict[exp.Expr, Evaluate] = {}

    def compile(self, node: exp.Expr) -> Evaluate:
        """A function that computes the expression over a frame.

        Raises:
            EngineError: It has something in it that is not known here; the text names it.
        """
        if node in self._given:
            return self._given[node]
        known = self._compiled.get(node)
        if known is None:
            made = self._compile(node)
            # A frame remembers its columns itself, and a literal is there already.
            is_there = isinstance(node, exp.Column | exp.Literal | exp.Paren)
            known = self._compiled[node] = made if is_there else self._once(made)
        return known

    @staticmethod
    def _once(evaluate: Evaluate) -> Evaluate:
        key = object()

        def remembered(frame: Frame) -> Column:
            found: Column | None = frame.memo.get(key)
            if found is None:
                found = frame.memo[key] = evaluate(frame)
            return found

        return remembered

    def _compile(self, node: exp.Expr) -> Evaluate:
        kind = type(node)
        if kind in _BINARY:
            return self._binary(_BINARY[kind], node.this, node.expression)
        if kind in _UNARY:
            return self._unary(_UNARY[kind], node.this)
        text = text_function(node)
        if text is not None:
            return self._text(text)
        if kind in _COMPILERS:
            compiled: Evaluate = getattr(self, _COMPILERS[kind])(node)
            return compiled
        name = node.name if isinstance(node, exp.Anonymous) else node.key.upper()
        raise EngineError(f"{name} in {node.sql('bigquery')[:80]}")

    def _binary(self, apply: Callable[[Column, Column], Column], left: exp.Expr, right: exp.Expr) -> Evaluate:
        one, other = self.compile(left), self.compile(right)
        return lambda frame: apply(one(frame), other(frame))

    def _unary(self, apply: Callable[[Column], Column], argument: exp.Expr) -> Evaluate:
        one = self.compile(argument)
        return lambda frame: apply(one(frame))

    def column(self, node: exp.Expr) -> Evaluate:
        """A column by its name, and by its table's alias where it is given."""
        alias = alias_of(node, self._sources)
        name = node.name
        return lambda frame: frame.column(alias, name)

    def _literal(self, node: exp.Expr) -> Evaluate:
        value = node.this if node.is_string else numbers.as_number(node.this)
        return self._constant(value)

    @staticmethod
    def _constant(value: Any) -> Evaluate:
        if isinstance(value, list | tuple):
            raise EngineError("a parameter that is an array")
        if isinstance(value, str):
            return lambda frame: constant(value, frame.pool)
        made = Column(np.zeros(1), np.ones(1, np.bool_)) if value is None else Column(np.array([value]))
        return lambda frame: made

    def _raw(self, node: exp.Expr) -> Evaluate:
        return self._constant(str(node.this))

    def _boolean(self, node: exp.Expr) -> Evaluate:
        return self._constant(bool(node.this))

    def _null(self, _node: exp.Expr) -> Evaluate:
        return self._constant(None)

    def _inner(self, node: exp.Expr) -> Evaluate:
        return self.compile(node.this)

    def _parameter(self, node: exp.Expr) -> Evaluate:
        if node.name not in self._parameters:
            raise EngineError(f"@{node.name}")
        return self._constant(self._parameters[node.name])

    def _all(self, nodes: Sequence[exp.Expr]) -> Callable[[Frame], list[Column]]:
        compiled = [self.compile(node) for node in nodes]
        return lambda frame: [one(frame) for one in compiled]

    def _case(self, node: exp.Expr) -> Evaluate:
        branches = []
        for branch in node.args["ifs"]:
            condition = branch.this if node.this is None else exp.EQ(this=node.this.copy(), expression=branch.this)
            branches.append((self.compile(condition), self.compile(branch.args["true"])))
        default = self.compile(node.args.get("default") or exp.Null())

        def evaluate(frame: Frame) -> Column:
            found = default(frame)
            for condition, value in reversed(branches):
                found = numbers.chosen(condition(frame), value(frame), found, frame.count)
            return found

        return evaluate

    def _if(self, node: exp.Expr) -> Evaluate:
        condition, true = self.compile(node.this), self.compile(node.args["true"])
        false = self.compile(node.args.get("false") or exp.Null())
        return lambda frame: numbers.chosen(condition(frame), true(frame), false(frame), frame.count)

    def _coalesce(self, node: exp.Expr) -> Evaluate:
        arguments = self._all([node.this, *node.expressions])
        return lambda frame: numbers.coalesce(arguments(frame), frame.count)

    def _extreme(self, node: exp.Expr) -> Evaluate:
        apply = numbers.extreme(np.maximum if isinstance(node, exp.Greatest) else np.minimum)
        arguments = self._all([node.this, *node.expressions])
        return lambda frame: apply(arguments(frame))

    def _nullif(self, node: exp.Expr) -> Evaluate:
        value, equal = self.compile(node.this), self.compile(exp.EQ(this=node.this, expression=node.expression))

        def evaluate(frame: Frame) -> Column:
            found = value(frame)
            same = numbers.is_true(equal(frame))
            return found.spread(len(same)).hidden(same) if same.any() else found

        return evaluate

    def _between(self, node: exp.Expr) -> Evaluate:
        return self.compile(range_as_comparisons(node))

    def _in(self, node: exp.Expr) -> Evaluate:
        if not node.expressions or node.args.get("query") or node.args.get("unnest"):
            raise EngineError(f"IN with anything but a list: {node.sql('bigquery')[:80]}")
        tests: list[exp.Expr] = [exp.EQ(this=node.this, expression=one) for one in node.expressions]
        found = tests[0]
        for test in tests[1:]:
            found = exp.Or(this=found, expression=test)
        return self.compile(found)

    def _is(self, node: exp.Expr) -> Evaluate:
        if isinstance(node.expression, exp.Null):
            return self._unary(numbers.is_null, node.this)
        raise EngineError(f"IS in {node.sql('bigquery')[:80]}")

    def _round(self, node: exp.Expr) -> Evaluate:
        decimals = node.args.get("decimals")
        digits = 0 if decimals is None else int(decimals.sql())
        return self._unary(lambda one: numbers.rounded(one, digits), node.this)

    def _cast(self, node: exp.Expr) -> Evaluate:
        to = type_of(node)
        if to == "DATE" and isinstance(node.this, exp.Literal) and node.this.is_string:
            return self._constant(np.datetime64(node.this.this, "D"))
        return self._unary(lambda one: numbers.cast(one, to), node.this)

    def _date(self, node: exp.Expr) -> Evaluate:
        if node.this is None or node.args.get("zone") or node.expressions:
            raise EngineError(f"DATE with a zone or parts: {node.sql('bigquery')[:80]}")
        return self._unary(lambda one: numbers.cast(one, "DATE"), node.this)

    def _date_diff(self, node: exp.Expr) -> Evaluate:
        unit = node.args.get("unit")
        if unit is None or unit.name.upper() != "DAY":
            raise EngineError(f"DATE_DIFF in units other than days: {node.sql('bigquery')[:80]}")
        return self._binary(numbers.days_between, node.this, node.expression)

    def _text(self, text: TextFunction) -> Evaluate:
        arguments = self._all(text.nodes)

        def evaluate(frame: Frame) -> Column:
            columns = arguments(frame)
            count = 1 if all(len(column) == 1 for column in columns) else frame.count
            found = texts.each(text.function, *(column.spread(count).to_list() for column in columns))
            if text.gives == "text":
                return TextColumn(frame.pool, texts=found)
            if text.gives == "list":
                return texts.lists(found, TextColumn(frame.pool, texts=[]))
            return texts.numbers(found, np.bool_ if text.gives == "truth" else np.int64)

        return evaluate

    # Arrays.

    def _array(self, node: exp.Expr) -> Evaluate:
        elements = self._all(node.expressions)

        def evaluate(frame: Frame) -> Column:
            spread = [column.spread(frame.count) for column in elements(frame)]
            rows = np.arange(frame.count * len(spread)).reshape(len(spread), frame.count).T.ravel()
            return ListColumn(stacked(spread).take(rows), np.full(frame.count, len(spread), np.int64))

        return evaluate

    def _array_concat(self, node: exp.Expr) -> Evaluate:
        arrays = self._all([node.this, *node.expressions])

        def evaluate(frame: Frame) -> Column:
            parts = [_as_list(one).spread(frame.count) for one in arrays(frame)]
            items = stacked([part.items for part in parts])
            rows = np.concatenate([np.repeat(np.arange(frame.count), part.sizes) for part in parts])
            order = np.argsort(rows, kind="stable")
            return ListColumn(items.take(order), np.sum([part.sizes for part in parts], axis=0).astype(np.int64))

        return evaluate

    def _series(self, node: exp.Expr) -> Evaluate:
        check_series(node)
        ends = self._all([node.args["start"], node.args["end"]])

        def evaluate(frame: Frame) -> Column:
            first, last = (column.spread(frame.count) for column in ends(frame))
            sizes = np.maximum(last.values - first.values + 1, 0)
            for column in (first, last):
                if column.null is not None:
                    sizes = np.where(column.null, 0, sizes)
            ends_at = np.cumsum(sizes)
            total = int(ends_at[-1]) if len(ends_at) else 0
            items = np.arange(total) - np.repeat(ends_at - sizes - first.values, sizes)
            return ListColumn(Column(items), sizes)

        return evaluate

    # Aggregates and windows.

    def aggregate(self, node: exp.Expr) -> Callable[[Frame, Groups], Column]:
        """An aggregate function, over groups of a frame's rows."""
        argument = node.this
        if isinstance(node, exp.Count):
            if argument is None or isinstance(argument, exp.Star):
                return lambda _frame, groups: aggregates.count_rows(groups)
            if isinstance(argument, exp.Distinct):
                if len(argument.expressions) != 1:
                    raise EngineError("COUNT(DISTINCT) of several columns")
                one = self.compile(argument.expressions[0])
                return lambda frame, groups: aggregates.count_distinct(one(frame).spread(frame.count), groups)
            counted = self.compile(argument)
            return lambda frame, groups: aggregates.count(counted(frame).spread(frame.count), groups)
        if type(node) not in _AGGREGATES or isinstance(argument, exp.Distinct | exp.Order) or node.expressions:
            raise EngineError(f"{node.sql('bigquery')[:80]} as an aggregate")
        reduce, value = _AGGREGATES[type(node)], self.compile(argument)
        return lambda frame, groups: reduce(value(frame).spread(frame.count), groups)

    def _window(self, node: exp.Expr) -> Evaluate:
        check_window(node)
        partition = tuple(node.args.get("partition_by") or ())
        partitions = self._partitions(partition)
        function = node.this
        if isinstance(function, AGGREGATE_KINDS):
            reduce = self.aggregate(function)

            def over(frame: Frame) -> Column:
                groups, of_rows = partitions(frame)
                return reduce(frame, groups).take(of_rows)

            return over
        ordered = self._ordering(partition, window_order(node))
        if type(function) in _RANKS:
            place = _RANKS[type(function)]
            return lambda frame: place(ordered(frame))
        if isinstance(function, exp.Lead | exp.Lag):
            value, step = self.compile(function.this), shift_of(function)
            return lambda frame: windows.shifted(value(frame).spread(frame.count), ordered(frame), step)
        raise EngineError(f"{function.key.upper()} as a window function")

    def _partitions(self, partition: tuple[exp.Expr, ...]) -> Callable[[Frame], tuple[Groups, Any]]:
        keys = self._all(partition)
        memo = ("partitions", partition)

        def evaluate(frame: Frame) -> tuple[Groups, Any]:
            found: tuple[Groups, Any] | None = frame.memo.get(memo)
            if found is None:
                groups = grouped(keys(frame), frame.count)
                found = frame.memo[memo] = (groups, groups.of_rows())
            return found

        return evaluate

    def _ordering(
        self, partition: tuple[exp.Expr, ...], order: Sequence[tuple[exp.Expr, bool]]
    ) -> Callable[[Frame], windows.Ordering]:
        partitions = self._partitions(partition)
        keys = [(self.compile(node), descending) for node, descending in order]

        def evaluate(frame: Frame) -> windows.Ordering:
            groups, _ = partitions(frame)
            return windows.ordering(groups, [(key(frame).spread(frame.count), down) for key, down in keys])

        return evaluate


def _as_list(column: Column) -> ListColumn:
    if isinstance(column, ListColumn):
        return column
    raise EngineError("one value where an array is wanted")


# The method for each other kind of node.
_COMPILERS: Mapping[type[exp.Expr], str] = {
    exp.Column: "column",
    exp.Literal: "_literal",
    exp.RawString: "_raw",
    exp.Boolean: "_boolean",
    exp.Null: "_null",
    exp.Paren: "_inner",
    exp.Parameter: "_parameter",
    exp.Case: "_case",
    exp.If: "_if",
    exp.Coalesce: "_coalesce",
    exp.Greatest: "_extreme",
    exp.Least: "_extreme",
    exp.Nullif: "_nullif",
    exp.Between: "_between",
    exp.In: "_in",
    exp.Is: "_is",
    exp.Round: "_round",
    exp.Cast: "_cast",
    exp.Date: "_date",
    exp.DateDiff: "_date_diff",
    exp.Array: "_array",
    exp.ArrayConcat: "_array_concat",
    exp.GenerateSeries: "_series",
    exp.Window: "_window",
}
