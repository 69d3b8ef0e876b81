"""Arrays and structs: an index beyond the array fails, fields keep their names, rows in UNNEST take the first's."""

from __future__ import annotations

from typing import Any

from sqlglot import exp


def _element(node: exp.Expr) -> exp.Expr | None:
    """`a[OFFSET(i)]` with the check that BigQuery makes; not where the array is a query, which would run twice."""
    offset = node.args.get("offset")
    if offset is None or node.args.get("safe") or len(node.expressions) != 1:
        return None
    if node.this.find(exp.Query) is not None:
        return None
    index = node.expressions[0].copy()
    if offset:
        index = exp.Sub(
            this=exp.paren(index) if not isinstance(index, exp.Literal) else index,
            expression=exp.Literal.number(offset),
        )
    return exp.Anonymous(this="bqloop_at", expressions=[node.this.copy(), index])


def _struct(node: exp.Expr) -> exp.Expr | None:
    """`STRUCT(x, t.y)` has the fields x and y; without names DuckDB makes a row of it."""
    if (
        node.find_ancestor(exp.Insert, exp.Values, exp.Array) is not None
        or node.find_ancestor(exp.SetOperation) is not None
    ):
        return None
    columns = [item for item in node.expressions if isinstance(item, exp.Column) and not item.is_star]
    if not columns or any(not isinstance(item, (exp.Column, exp.PropertyEQ, exp.Alias)) for item in node.expressions):
        return None
    for column in columns:
        column.replace(exp.PropertyEQ(this=exp.to_identifier(column.name), expression=column.copy()))
    return node


def _array(node: exp.Expr) -> exp.Expr | None:
    """`[STRUCT(1 AS a, 2 AS b), (3, 4)]`: the later rows are structs of the same fields."""
    first = node.expressions[0] if node.expressions else None
    if not isinstance(first, exp.Struct) or not all(isinstance(item, exp.PropertyEQ) for item in first.expressions):
        return None
    for row in node.expressions[1:]:
        values = row.expressions if isinstance(row, exp.Tuple) else []
        if len(values) == len(first.expressions):
            fields = [
                exp.PropertyEQ(this=field.this.copy(), expression=value.copy())
                for field, value in zip(first.expressions, values, strict=True)
            ]
            row.replace(exp.Struct(expressions=fields))
    return node


def _slice(node: exp.Expr) -> exp.Expr | None:
    return exp.Anonymous(
        this="bqloop_array_slice", expressions=[node.this.copy(), node.args["start"].copy(), node.args["end"].copy()]
    )


RULES: dict[type[Any], Any] = {exp.Bracket: _element, exp.Struct: _struct, exp.Array: _array, exp.ArraySlice: _slice}
