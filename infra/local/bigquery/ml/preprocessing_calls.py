"""`ML.STANDARD_SCALER(x) OVER()` and its kin inside a select list: their arguments from DuckDB, their values from `bqml`.

The rows pass DuckDB twice: once for the arguments of the calls (and whatever else the list needs), once for the list
itself with each call's value as a column. Calls inside calls take a round each, the innermost first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp

from ...bqml import BqmlError, preprocessing
from ..errors import BigQueryError
from ..parameters import Parameter
from .option_values import value_of

VALUE = "_ml_value_"
ARGUMENT = "_ml_argument_"

Evaluate = Callable[[Sequence[exp.Expr], pa.Table], pa.Table]
"""Evaluates named expressions over the rows of a table, in the order of the rows."""


@dataclass(frozen=True)
class Call:
    """One call: `node` is what its value takes the place of (the OVER() included)."""

    function: str
    node: exp.Expr
    columns: tuple[exp.Expr, ...]
    arguments: tuple[exp.Expr, ...]


def find_calls(tree: exp.Expr) -> list[Call]:
    """Every preprocessing call, the innermost first.

    Raises:
        BigQueryError: `ML.NAME` is no function that is carried out (`notImplemented`).
    """
    calls = []
    for node in tree.find_all(exp.Anonymous):
        dot = node.parent
        if not isinstance(dot, exp.Dot) or dot.this.name.upper() != "ML":
            continue
        name = str(node.this).upper()
        signature = preprocessing.SIGNATURES.get(name)
        if signature is None:
            raise BigQueryError("invalidQuery", f"Function not found: ML.{name}", location="query")
        over = dot.parent
        place = over if isinstance(over, exp.Window) else dot
        if signature.analytic != isinstance(over, exp.Window):
            need = "needs an OVER() clause" if signature.analytic else "takes no OVER clause"
            raise BigQueryError("invalidQuery", f"ML.{name} {need}", location="query")
        expressions = node.expressions
        calls.append(
            Call(name, place, tuple(expressions[: signature.columns]), tuple(expressions[signature.columns :]))
        )
    depth = {id(call): sum(1 for _ in _ancestors(call.node)) for call in calls}
    return sorted(calls, key=lambda call: -depth[id(call)])


def has_calls(tree: exp.Expr) -> bool:
    """Whether there is any preprocessing call."""
    return any(
        isinstance(node.parent, exp.Dot) and node.parent.this.name.upper() == "ML"
        for node in tree.find_all(exp.Anonymous)
    )


def compute(
    projections: list[exp.Expr],
    rows: pa.Table,
    evaluate: Evaluate,
    parameters: Mapping[str, Parameter],
    frozen: Sequence[dict[str, Any]] | None = None,
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The rows with a column for each call; `projections` then refer to these columns. Also what was learnt, in order.

    `frozen` is what an earlier round has learnt: with it nothing is learnt again.

    Raises:
        BqmlError: as the library refuses.
    """
    learnt: list[dict[str, Any]] = []
    holder = exp.Tuple(expressions=projections)
    place = 0
    while True:
        calls = [
            call
            for call in find_calls(holder)
            if not has_calls(exp.Tuple(expressions=[c.copy() for c in call.columns]))
        ]
        if not calls:
            break
        wanted = [
            exp.alias_(column.copy(), f"{ARGUMENT}{at}_{number}")
            for at, call in enumerate(calls)
            for number, column in enumerate(call.columns)
        ]
        inputs = evaluate(wanted, rows)
        for at, call in enumerate(calls):
            columns = [inputs.column(f"{ARGUMENT}{at}_{number}") for number in range(len(call.columns))]
            arguments = [value_of(argument, parameters) for argument in call.arguments]
            known = frozen[place] if frozen is not None else preprocessing.fit(call.function, columns, arguments)
            learnt.append(known)
            name = f"{VALUE}{place}"
            rows = rows.append_column(name, preprocessing.apply(call.function, known, columns, arguments))
            call.node.replace(exp.column(name))
            place += 1
    projections[:] = holder.expressions
    return rows, learnt


def _ancestors(node: exp.Expr) -> Any:
    while node.parent is not None:
        node = node.parent
        yield node


__all__ = ["BqmlError", "Call", "Evaluate", "compute", "find_calls", "has_calls"]
