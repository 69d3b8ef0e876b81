"""APPROX_QUANTILES and APPROX_TOP_COUNT, exactly; COUNTIF over a window.

BigQuery's APPROX_ functions are approximate from some size on, exact ones never wrong. bqemulator puts COALESCE around
COUNTIF, which OVER cannot follow.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def _quantiles(node: exp.Expr) -> exp.Expr | None:
    count = node.expression
    inner = node.this
    distinct = isinstance(inner, exp.Distinct)
    value = inner.expressions[0] if isinstance(inner, exp.Distinct) else inner
    if isinstance(value, (exp.IgnoreNulls, exp.RespectNulls)) or not isinstance(count, exp.Literal):
        return None
    argument: exp.Expr = exp.Distinct(expressions=[value.copy()]) if distinct else value.copy()
    values = (
        exp.ArrayAgg(this=exp.IgnoreNulls(this=argument))
        if distinct
        else exp.Anonymous(this="bqloop_list", expressions=[argument])
    )
    return exp.Anonymous(this="bqloop_quantiles", expressions=[values, count.copy()])


def _top_count(node: exp.Expr) -> exp.Expr | None:
    counts = exp.Anonymous(this="histogram", expressions=[node.this.copy()])
    return exp.Anonymous(this="bqloop_top_count", expressions=[counts, node.expression.copy()])


def _count_if(node: exp.Expr) -> exp.Expr | None:
    if not isinstance(node.parent, exp.Window) or node.arg_key != "this":
        return None
    distinct = isinstance(node.this, exp.Distinct)
    condition = node.this.expressions[0] if distinct else node.this
    counted = exp.If(this=condition.copy(), true=exp.Literal.number(1))
    return exp.Count(this=exp.Distinct(expressions=[counted]) if distinct else counted)


RULES: dict[type[Any], Any] = {
    exp.ApproxTopK: _top_count,
    exp.ApproxQuantiles: _quantiles,
    exp.CountIf: _count_if,
}
