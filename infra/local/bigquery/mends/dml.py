"""Statements that change rows: `MERGE ... INSERT ROW`, and `UPDATE ... SET struct.field`."""

from __future__ import annotations

from sqlglot import exp


def mend(tree: exp.Expression) -> exp.Expression:
    """The statement in the spelling that DuckDB has too."""
    if isinstance(tree, exp.Merge):
        _insert_row(tree)
    if isinstance(tree, (exp.Merge, exp.Update)):
        _struct_fields(tree)
    return tree


def _insert_row(merge: exp.Merge) -> None:
    """INSERT ROW takes the source's columns by name; DuckDB says INSERT BY NAME."""
    for when in merge.find_all(exp.When):
        then = when.args.get("then")
        if isinstance(then, exp.Insert) and isinstance(then.this, (exp.Var, exp.Identifier, exp.Column)) and (
            then.this.name.upper() == "ROW"
        ):
            then.set("this", None)
            then.set("expression", None)
            then.meta["insert_row"] = True


def _struct_fields(tree: exp.Expression) -> None:
    """`SET s.f = v` becomes `SET s = struct_update(s, f := v)` where s is no alias of the target."""
    target = tree.this
    names = {part.lower() for part in (target.alias_or_name, target.name) if part}
    for assignment in list(tree.find_all(exp.EQ)):
        holder = assignment.parent
        in_set = isinstance(holder, exp.Update) and assignment.arg_key == "expressions"
        column = assignment.this
        if not in_set or not isinstance(column, exp.Column) or not column.table or column.table.lower() in names:
            continue
        struct = exp.column(column.table)
        assignment.set("this", struct)
        assignment.set(
            "expression",
            exp.Anonymous(
                this="bqloop_set_field",
                expressions=[struct.copy(), exp.Literal.string(column.name), assignment.expression.copy()],
            ),
        )
