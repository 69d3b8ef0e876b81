"""Whole statements that bqemulator does not know: ASSERT, and MERGE with INSERT ROW."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from ..dialect import parse


def assertion(sql: str) -> exp.Expr | None:
    """`ASSERT condition AS 'message'` as a query that fails with the message; None for another statement.

    sqlglot does not know ASSERT; what follows it reads as a select item and its alias.
    """
    if sql.lstrip()[:6].upper() != "ASSERT":
        return None
    item = parse(f"SELECT {sql.lstrip()[6:].rstrip().rstrip(';')}").find(exp.Select)
    asserted = item.expressions[0] if item is not None else exp.false()
    failure = exp.Anonymous(
        this="error", expressions=[exp.Literal.string(f"bqloop:invalidQuery:{asserted.alias or 'Assertion failed'}")]
    )
    return exp.select(exp.alias_(exp.If(this=asserted.unalias().copy(), true=exp.true(), false=failure), "asserted"))


def spell_out_insert_row(tree: exp.Expr, columns: Sequence[str]) -> None:
    """`INSERT ROW` of a MERGE takes the source's columns by the names of the target's: say them."""
    if not isinstance(tree, exp.Merge):
        return
    source = tree.args["using"].alias_or_name
    for then in tree.find_all(exp.Insert):
        if then.this is not None and then.this.name.upper() == "ROW" and not then.args.get("expression"):
            then.set("this", exp.Tuple(expressions=[exp.column(name) for name in columns]))
            then.set("expression", exp.Tuple(expressions=[exp.column(name, table=source) for name in columns]))
