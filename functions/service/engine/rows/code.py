"""Expressions as Python's own: the value of one row from the variables that hold its columns."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sqlglot import exp

from functions.service.engine import numbers
from functions.service.engine.columns import EngineError
from functions.service.engine.parsing import check_series, range_as_comparisons, type_of
from functions.service.engine.text_functions import text_function


def _modulo(one: Any, other: Any) -> Any:
    if isinstance(one, int) and isinstance(other, int):
        found = abs(one) % abs(other)
        return found if one >= 0 else -found
    return math.fmod(one, other)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, int) and digits >= 0:
        return value
    scale = 10.0**digits
    scaled = value * scale
    whole = math.trunc(scaled)
    if abs(scaled - whole) == 0.5:
        return (whole + math.copysign(1.0, scaled)) / scale
    return float(round(scaled)) / scale


def _day(value: Any) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value


def _days_between(one: Any, other: Any) -> int:
    if isinstance(one, dt.datetime) or isinstance(other, dt.datetime):
        raise TypeError("DATE_DIFF of instants")
    return int((one - other).days)


def _and(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: Any, other: Any) -> Any:
    if one is True or other is True:
        return True
    return None if one is None or other is None else False


_NAMES: Mapping[str, Any] = {
    "_and": _and,
    "_day": _day,
    "_days_between": _days_between,
    "_exp": math.exp,
    "_floor": math.floor,
    "_ceil": math.ceil,
    "_ln": math.log,
    "_modulo": _modulo,
    "_or": _or,
    "_rounded": _rounded,
    "_sqrt": math.sqrt,
}
_OPERATORS: Mapping[type[exp.Expr], str] = {
    exp.Add: "{} + {}",
    exp.Sub: "{} - {}",
    exp.Mul: "{} * {}",
    exp.Div: "{} / {}",
    exp.Mod: "_modulo({}, {})",
    exp.EQ: "{} == {}",
    exp.NEQ: "{} != {}",
    exp.LT: "{} < {}",
    exp.LTE: "{} <= {}",
    exp.GT: "{} > {}",
    exp.GTE: "{} >= {}",
    exp.DateDiff: "_days_between({}, {})",
    exp.Abs: "abs({})",
    exp.Ceil: "_ceil({})",
    exp.Exp: "_exp({})",
    exp.Floor: "_floor({})",
    exp.Ln: "_ln({})",
    exp.Sign: "(({0} > 0) - ({0} < 0))",
    exp.Sqrt: "_sqrt({})",
    exp.Neg: "-{}",
    exp.Date: "_day({})",
}
_CASTS: Mapping[str, str] = {"FLOAT64": "float({})", "INT64": "int(_rounded({}, 0))", "DATE": "_day({})"}
# Nodes with a method of their own, by sqlglot's word for them.
_METHODS = frozenset(
    {
        "and",
        "array",
        "arrayconcat",
        "between",
        "case",
        "cast",
        "coalesce",
        "generateseries",
        "greatest",
        "if",
        "in",
        "is",
        "least",
        "not",
        "nullif",
        "or",
        "round",
        "safedivide",
    }
)
_NO_VALUE = (exp.Identifier, exp.DataType, exp.Var, exp.WindowSpec)
_SIMPLE = (exp.Column, exp.Literal, exp.RawString, exp.Boolean, exp.Null, exp.Parameter, exp.Paren)


class Writer:
    """Writes the expressions of one SELECT.

    Args:
        column: The variable that holds a column.
        parameters: Values of `@name`.
        objects: Takes what the code needs by name.
    """

    def __init__(
        self, column: Callable[[exp.Expr], str], parameters: Mapping[str, Any], objects: dict[str, Any]
    ) -> None:
        self.column = column
        self.given: Mapping[exp.Expr, str] = {}
        self._parameters = parameters
        self._objects = objects
        self._objects |= _NAMES
        self._names = 0
        self._shared: dict[exp.Expr, str] = {}

    def begin(self, given: Mapping[exp.Expr, str], column: Callable[[exp.Expr], str]) -> None:
        """Begin another loop of the same SELECT, in which some expressions are variables already."""
        self.given = given
        self.column = column
        self._shared = {}

    def shared(self, roots: Sequence[exp.Expr]) -> list[str]:
        """Statements for what stands in these expressions more than once; from now on it is a variable."""
        nodes = [node for root in roots for node in self._nodes(root)]
        counted = Counter(nodes)
        statements = []
        for node in reversed(nodes):  # the parts before what they are parts of
            if counted[node] > 1 and not isinstance(node, _SIMPLE) and node not in self._shared:
                source = self.value(node)
                self._shared[node] = name = self._new()
                statements.append(f"{name} = {source}")
        return statements

    def _nodes(self, node: exp.Expr) -> list[exp.Expr]:
        """The nodes that code is written for, parents before their children."""
        if node in self.given:
            return []
        found = [node]
        if not isinstance(node, exp.Column):
            for child in node.iter_expressions():
                if not isinstance(child, _NO_VALUE):
                    found += self._nodes(child)
        return found

    def _new(self) -> str:
        self._names += 1
        return f"t{self._names}"

    def _object(self, value: Any) -> str:
        name = f"o{len(self._objects)}"
        self._objects[name] = value
        return name

    def value(self, node: exp.Expr) -> str:
        """Python's expression for the value of a row.

        Raises:
            EngineError: There is none for something in it.
        """
        known = self._shared.get(node) or self.given.get(node)
        if known is not None:
            return known
        if isinstance(node, exp.Column):
            return self.column(node)
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, _SIMPLE):
            return self._constant(node)
        text = text_function(node)
        if text is not None:
            name = self._object(text.function)
            return self._strict(text.nodes, lambda *values: f"{name}({', '.join(values)})")
        if node.key in _METHODS:
            return str(getattr(self, f"_{node.key}")(node))
        if type(node) in _OPERATORS:
            operands = [one for one in (node.this, node.args.get("expression")) if one is not None]
            return self._strict(operands, _OPERATORS[type(node)].format)
        raise EngineError(f"{node.key.upper()} in {node.sql('bigquery')[:80]}")

    def _constant(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Null):
            return "None"
        if isinstance(node, exp.Boolean):
            return repr(bool(node.this))
        if isinstance(node, exp.Parameter):
            if node.name not in self._parameters:
                raise EngineError(f"@{node.name}")
            value = self._parameters[node.name]
            if isinstance(value, list | tuple):
                raise EngineError("a parameter that is an array")
            return self._object(value.item() if isinstance(value, np.generic) else value)
        if isinstance(node, exp.RawString) or node.is_string:
            return repr(str(node.this))
        number = numbers.as_number(node.this)
        return f"({number!r})" if math.isfinite(number) else self._object(number)

    def _strict(self, nodes: Sequence[exp.Expr], write: Callable[..., str]) -> str:
        """An operator that gives NULL where an operand is."""
        tests, values = [], []
        for node in nodes:
            source = self.value(node)
            bare = node.unnest()
            if isinstance(bare, exp.Literal | exp.RawString | exp.Boolean | exp.Parameter) and source != "None":
                values.append(source)
            elif source.isidentifier() and source != "None":
                tests.append(f"{source} is None")
                values.append(source)
            else:
                name = self._new()
                tests.append(f"({name} := {source}) is None")
                values.append(name)
        made = write(*values)
        return f"(None if {' or '.join(tests)} else {made})" if tests else f"({made})"

    def holds(self, node: exp.Expr) -> str:
        """Python's expression for whether a condition holds: not where it is NULL."""
        if node not in self._shared and node not in self.given:
            if isinstance(node, exp.Paren):
                return self.holds(node.this)
            if isinstance(node, exp.And | exp.Or):
                word = "and" if isinstance(node, exp.And) else "or"
                return f"({self.holds(node.this)} {word} {self.holds(node.expression)})"
            if isinstance(node, exp.Not):
                return f"({self.value(node.this)} is False)"
        return self.value(node)

    # A method for each of _METHODS.

    def _and(self, node: exp.Expr) -> str:
        return f"_and({self.value(node.this)}, {self.value(node.expression)})"

    def _or(self, node: exp.Expr) -> str:
        return f"_or({self.value(node.this)}, {self.value(node.expression)})"

    def _not(self, node: exp.Expr) -> str:
        return self._strict([node.this], "not {}".format)

    def _is(self, node: exp.Expr) -> str:
        if not isinstance(node.expression, exp.Null):
            raise EngineError(f"IS in {node.sql('bigquery')[:80]}")
        return f"({self.value(node.this)} is None)"

    def _if(self, node: exp.Expr) -> str:
        false = node.args.get("false") or exp.Null()
        return f"({self.value(node.args['true'])} if {self.holds(node.this)} else {self.value(false)})"

    def _case(self, node: exp.Expr) -> str:
        found = self.value(node.args.get("default") or exp.Null())
        for branch in reversed(node.args["ifs"]):
            condition = branch.this if node.this is None else exp.EQ(this=node.this.copy(), expression=branch.this)
            found = f"({self.value(branch.args['true'])} if {self.holds(condition)} else {found})"
        return found

    def _coalesce(self, node: exp.Expr) -> str:
        *firsts, found = [self.value(one) for one in (node.this, *node.expressions)]
        for source in reversed(firsts):
            name = self._new()
            found = f"({name} if ({name} := {source}) is not None else {found})"
        return found

    def _nullif(self, node: exp.Expr) -> str:
        name = self._new()
        return f"(None if ({name} := {self.value(node.this)}) == {self.value(node.expression)} else {name})"

    def _greatest(self, node: exp.Expr) -> str:
        return self._strict([node.this, *node.expressions], lambda *values: f"max({', '.join(values)})")

    def _least(self, node: exp.Expr) -> str:
        return self._strict([node.this, *node.expressions], lambda *values: f"min({', '.join(values)})")

    def _safedivide(self, node: exp.Expr) -> str:
        return self._strict([node.this, node.expression], "(None if {1} == 0 else {0} / {1})".format)

    def _between(self, node: exp.Expr) -> str:
        return self._and(range_as_comparisons(node))

    def _in(self, node: exp.Expr) -> str:
        if not all(isinstance(one, exp.Literal) for one in node.expressions):
            raise EngineError(f"IN with anything but literals: {node.sql('bigquery')[:80]}")
        among = self._object(frozenset(_literal(one) for one in node.expressions))
        return self._strict([node.this], f"{{}} in {among}".format)

    def _round(self, node: exp.Expr) -> str:
        decimals = node.args.get("decimals")
        return self._strict([node.this], f"_rounded({{}}, {0 if decimals is None else int(decimals.sql())})".format)

    def _cast(self, node: exp.Expr) -> str:
        to = type_of(node)
        written = isinstance(node.this, exp.Literal) and node.this.is_string
        if written and to == "DATE":
            return self._object(dt.date.fromisoformat(str(node.this.this)))
        if written or to not in _CASTS:
            raise EngineError(f"{node.sql('bigquery')[:80]}")
        return self._strict([node.this], _CASTS[to].format)

    # Arrays: an array that is NULL has no elements.

    def _array(self, node: exp.Expr) -> str:
        return f"[{', '.join(self.value(one) for one in node.expressions)}]"

    def _arrayconcat(self, node: exp.Expr) -> str:
        return "[" + ", ".join(f"*({self.value(one)} or ())" for one in (node.this, *node.expressions)) + "]"

    def _generateseries(self, node: exp.Expr) -> str:
        check_series(node)
        return self._strict([node.args["start"], node.args["end"]], "range({0}, {1} + 1)".format)


def _literal(node: exp.Expr) -> Any:
    return str(node.this) if node.is_string else numbers.as_number(node.this)
