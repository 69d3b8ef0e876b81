"""APPROX_QUANTILES and APPROX_TOP_COUNT, exactly: BigQuery's are approximate from some size on, exact ones never wrong."""

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


RULES: dict[type[Any], Any] = {exp.ApproxTopK: _top_count, exp.ApproxQuantiles: _quantiles}
