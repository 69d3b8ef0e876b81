"""Statements that change rows: `MERGE ... INSERT ROW`, and `UPDATE ... SET struct.field`."""

from __future__ import annotations

from sqlglot import exp

_ROW = "_bqloop_row_"


def mend(tree: exp.Expression) -> exp.Expression:
    """The statement in a spelling that bqemulator can translate."""
    if isinstance(tree, (exp.Merge, exp.Update)):
        _struct_fields(tree)
    return tree


def mend_translated(tree: exp.Expression) -> exp.Expression:
    """INSERT ROW takes the source's columns by name, which DuckDB calls INSERT BY NAME."""
    if isinstance(tree, exp.Merge):
        for when in tree.find_all(exp.When):
            then = when.args.get("then")
            if isinstance(then, exp.Insert) and then.this is not None and then.this.name.upper() == "ROW" and then.expression is None:
                then.replace(exp.Var(this="INSERT BY NAME"))
    return tree


def _struct_fields(tree: exp.Expression) -> None:
    """`SET s.f = v` becomes `SET s = struct_update(s, f := v)` where s is no name of the target."""
    target = tree.this
    names = {part.lower() for part in (target.alias_or_name, target.name) if part}
    for assignment in list(tree.find_all(exp.EQ)):
        column = assignment.this
        in_set = isinstance(assignment.parent, exp.Update) and assignment.arg_key == "expressions"
        if not in_set or not isinstance(column, exp.Column) or not column.table or column.table.lower() in names:
            continue
        struct = exp.column(column.table)
        field = exp.PropertyEQ(this=exp.to_identifier(column.name), expression=assignment.expression.copy())
        assignment.set("this", struct)
        assignment.set("expression", exp.Anonymous(this="struct_update", expressions=[struct.copy(), field]))
