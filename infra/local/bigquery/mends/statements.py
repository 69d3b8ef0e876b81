"""Whole statements that bqemulator does not know: ASSERT, and MERGE with INSERT ROW."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from ..dialect import parse


def assertion(tree: exp.Expr, sql: str) -> exp.Expr | None:
    """`ASSERT condition AS 'message'` as a query that fails with the message; None for another statement.

    sqlglot takes ASSERT for a function and the description for an alias.
    """
    head = sql.lstrip()[:6].upper()
    if head != "ASSERT":
        return None
    message = tree.alias if isinstance(tree, exp.Alias) else "Assertion failed"
    body = sql.lstrip()[6:].rstrip().rstrip(";")
    inner = parse(f"SELECT {body}").expressions[0]
    condition = inner.unalias().copy()
    failure = exp.Anonymous(this="error", expressions=[exp.Literal.string(f"bqloop:invalidQuery:{message}")])
    return exp.select(exp.alias_(exp.If(this=condition, true=exp.true(), false=failure), "asserted"))


def spell_out_insert_row(tree: exp.Expr, columns: Sequence[str]) -> None:
    """`INSERT ROW` of a MERGE takes the source's columns by the names of the target's: say them."""
    if not isinstance(tree, exp.Merge):
        return
    source = tree.args["using"].alias_or_name
    for then in tree.find_all(exp.Insert):
        if then.this is not None and then.this.name.upper() == "ROW" and not then.args.get("expression"):
            then.set("this", exp.Tuple(expressions=[exp.column(name) for name in columns]))
            then.set("expression", exp.Tuple(expressions=[exp.column(name, table=source) for name in columns]))
