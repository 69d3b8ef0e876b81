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


def json_paths(tree: exp.Expr, columns: set[str]) -> exp.Expr:
    """`doc.a.b[0]` over columns of type JSON as JSON_QUERY(doc, '$.a.b[0]'), which is what it means."""
    if not columns:
        return tree
    relations = {table.alias_or_name.lower() for table in tree.find_all(exp.Table, exp.Subquery)}
    for node in list(tree.find_all(exp.Column, exp.Dot, exp.Bracket)):
        if isinstance(node.parent, (exp.Dot, exp.Bracket)) and node.arg_key == "this":
            continue
        steps: list[str] = []
        inner: exp.Expr = node
        while isinstance(inner, (exp.Dot, exp.Bracket)):
            if isinstance(inner, exp.Bracket):
                index = inner.expressions[0]
                steps.insert(0, f"[{index.name}]" if not index.is_string else f'."{index.name}"')
            else:
                steps.insert(0, f'."{inner.expression.name}"')
            inner = inner.this
        if not isinstance(inner, exp.Column):
            continue
        parts = [part.name for part in inner.parts]
        if len(parts) > 1 and parts[0].lower() in relations:
            owner, parts = parts[0], parts[1:]
        else:
            owner = ""
        if parts[0].lower() not in columns or (len(parts) == 1 and not steps):
            continue
        path = "$" + "".join(f'."{part}"' for part in parts[1:]) + "".join(steps)
        last = (parts[1:] or [""])[-1] if not steps else (node.expression.name if isinstance(node, exp.Dot) else "")
        column = exp.column(parts[0], table=owner or None)
        around = node.parent
        if isinstance(around, (exp.JSONExtractScalar, exp.JSONValue)) and node.arg_key == "this" and _is_root(around):
            around.replace(exp.Anonymous(this="JSON_VALUE", expressions=[column, exp.Literal.string(path)]))
            continue
        text = exp.Anonymous(this="JSON_QUERY", expressions=[column, exp.Literal.string(path)])
        value: exp.Expr = exp.ParseJSON(this=text)  # bqemulator's JSON_QUERY gives text
        if isinstance(node.parent, exp.Select) and node.arg_key == "expressions" and last:
            value = exp.alias_(value, last)
        node.replace(value)
    return tree


def _is_root(node: exp.Expr) -> bool:
    path = node.args.get("expression") or node.args.get("path")
    return path is None or path.sql(dialect="bigquery").strip("'") == "$"


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


def _reader(node: exp.Expr) -> exp.Expr | None:
    """Text that is no JSON has no value at any path; DuckDB fails at it."""
    if isinstance(node.this, (exp.ParseJSON, exp.Anonymous)):
        return None
    node.set("this", exp.Anonymous(this="bqloop_json", expressions=[node.this.copy()]))
    return node


READERS = (exp.JSONExtract, exp.JSONExtractScalar, exp.JSONExtractArray, exp.JSONValue, exp.JSONValueArray)
RULES: dict[type[Any], Any] = {
    exp.JSONType: _type,
    exp.JSONFormat: _to_string,
    exp.ParseJSON: _literal_field,
    **dict.fromkeys(READERS, _reader),
}
