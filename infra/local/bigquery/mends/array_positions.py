"""Positions in arrays: an index that is no literal, and the column that UNNEST ... WITH OFFSET gives.

sqlglot counts from 1 for DuckDB only where it knows that the index is a whole number, and it puts an expression in the
place of the offset column without keeping the column's name.
"""

from __future__ import annotations

from sqlglot import exp


def mend(tree: exp.Expr) -> exp.Expr:
    """Cast computed indexes to INT64, and name offset columns that are selected as they are."""
    for bracket in tree.find_all(exp.Bracket):
        if bracket.args.get("offset") is None:
            continue
        indexes = [
            i if isinstance(i, (exp.Literal, exp.Cast)) else exp.cast(i.copy(), "BIGINT") for i in bracket.expressions
        ]
        bracket.set("expressions", indexes)
    for select in tree.find_all(exp.Select):
        offsets = {u.args["offset"].name for u in _unnests(select) if isinstance(u.args.get("offset"), exp.Expr)}
        for projection in list(select.expressions):
            if isinstance(projection, exp.Column) and projection.name in offsets:
                projection.replace(exp.alias_(projection.copy(), projection.name))
    return tree


def _unnests(select: exp.Select) -> list[exp.Unnest]:
    sources = [select.args.get("from_") or select.args.get("from"), *select.args.get("joins", [])]
    return [s.this for s in sources if s is not None and isinstance(s.this, exp.Unnest)]
