"""Whole-number division: `DIV(a + 1, 2)` divides the sum, where sqlglot's operator would bind to its last term alone."""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def _whole_division(node: exp.Expr) -> exp.Expr | None:
    for side in ("this", "expression"):
        operand = node.args[side]
        if isinstance(operand, exp.Binary):
            node.set(side, exp.paren(operand.copy()))
    return node


RULES: dict[type[Any], Any] = {exp.IntDiv: _whole_division}
