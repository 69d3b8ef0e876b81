"""JSON: types in BigQuery's words, fields of a JSON literal, NULL as JSON text."""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def _type(node: exp.Expr) -> exp.Expr | None:
    return exp.Anonymous(this="bqloop_json_type", expressions=[node.this.copy()])


def _to_string(node: exp.Expr) -> exp.Expr | None:
    if isinstance(node.parent, exp.Coalesce) and node.parent.meta.get("bqloop"):
        return None
    whole = exp.Coalesce(this=node.copy(), expressions=[exp.Literal.string("null")])
    whole.meta["bqloop"] = True
    return whole


def _literal_field(node: exp.Expr) -> exp.Expr | None:
    """`JSON '{...}'.a[0]`: sqlglot takes the accessors for part of the literal."""
    steps: list[str] = []
    inner = node.this
    while isinstance(inner, (exp.Dot, exp.Bracket)):
        if isinstance(inner, exp.Dot):
            steps.append(f".{inner.expression.name}")
        else:
            steps.append(f"[{inner.expressions[0].name}]")
        inner = inner.this
    if not steps:
        return None
    path = "$" + "".join(reversed(steps))
    parsed = exp.ParseJSON(this=inner.copy())
    return exp.Anonymous(this="JSON_QUERY", expressions=[parsed, exp.Literal.string(path)])


RULES: dict[type[Any], Any] = {exp.JSONType: _type, exp.JSONFormat: _to_string, exp.ParseJSON: _literal_field}
