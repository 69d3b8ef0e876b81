"""`UPDATE ... SET struct.field`, which DuckDB says with a function."""

from __future__ import annotations

from sqlglot import exp


def mend(tree: exp.Expr) -> exp.Expr:
    """The statement with whole columns set."""
    if isinstance(tree, (exp.Merge, exp.Update)):
        _struct_fields(tree)
    return tree


def _struct_fields(tree: exp.Expr) -> None:
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
