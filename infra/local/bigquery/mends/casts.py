"""CAST to INT64 and STRING: BigQuery rounds half away from zero, and writes numbers without needless zeros."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

_INT, _TEXT = exp.DataType.Type.BIGINT, exp.DataType.Type.TEXT


def _cast(node: exp.Expr) -> exp.Expr | None:
    kind = node.args["to"]
    inner = node.this
    typed_already = isinstance(inner, (exp.Parameter, exp.Placeholder, exp.Null)) or kind.args.get("expressions")
    if typed_already or node.args.get("format") or kind.this not in (_INT, _TEXT):
        return None
    if isinstance(inner, exp.Literal) and kind.this == _TEXT and inner.is_string:
        return None
    safe = isinstance(node, exp.TryCast)
    name = "bqloop_cast_string" if kind.this == _TEXT else "bqloop_try_cast_int64" if safe else "bqloop_cast_int64"
    return exp.Anonymous(this=name, expressions=[inner.copy()])


RULES: dict[type[Any], Any] = {exp.Cast: _cast, exp.TryCast: _cast}
