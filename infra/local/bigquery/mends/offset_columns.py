"""The column that UNNEST ... WITH OFFSET gives.

bqemulator takes 1 off every column of the statement that is called as an offset column is, whosever it is: here each
offset column gets a name that nothing else has, and where it is selected as it is, its own name back.
"""

from __future__ import annotations

from itertools import count

from sqlglot import exp


def mend(tree: exp.Expr) -> exp.Expr:
    """Give each offset column a name of its own."""
    numbers = count(1)
    for select in list(tree.find_all(exp.Select)):
        for unnest in _unnests(select):
            offset = unnest.args.get("offset")
            name = offset.name if isinstance(offset, exp.Identifier) else "offset" if offset else None
            if name is None:
                continue
            own = f"_position_{next(numbers)}"
            star = next((p for p in select.expressions if isinstance(p, exp.Star)), None)
            if star is not None:
                _show_behind(select, star, name, own)
            unnest.set("offset", exp.to_identifier(own))
            if not unnest.args.get("alias"):
                # DuckDB names the columns of an UNNEST together or not at all.
                value = f"{own}_value" if star is None else "f0_"
                unnest.set("alias", exp.TableAlias(columns=[exp.to_identifier(value)]))
            for column in _references(select, name):
                if column.parent is select and column.arg_key == "expressions":
                    column.replace(exp.alias_(exp.column(own), name))
                elif isinstance(column.parent, exp.Struct):  # a field is called as its column is
                    column.replace(exp.PropertyEQ(this=exp.to_identifier(name), expression=exp.column(own)))
                else:
                    column.replace(exp.column(own))
    return tree


def _show_behind(select: exp.Select, star: exp.Star, name: str, own: str) -> None:
    """`*` without the offset column, which stands behind it under its name: its UNNEST is the last source nearly always."""
    left_out = list(star.args.get("except_") or star.args.get("except") or [])
    key = "except_" if "except_" in star.arg_types else "except"
    replaced = [r for r in star.args.get("replace") or [] if r.alias.lower() == name.lower()]
    shown = not any(item.name.lower() == name.lower() for item in left_out)
    # In capitals: bqemulator would take 1 off it here too, and names mind no case.
    kept = [item for item in left_out if item.name.lower() != name.lower()]
    star.set(key, [*kept, exp.to_identifier(own.upper())])
    if not shown:
        return
    star.set("replace", [r for r in star.args.get("replace") or [] if r not in replaced])
    column = replaced[0].copy() if replaced else exp.alias_(exp.column(own), name)
    place = select.expressions.index(star) + 1
    select.set("expressions", [*select.expressions[:place], column, *select.expressions[place:]])


def _unnests(select: exp.Select) -> list[exp.Unnest]:
    sources = [select.args.get("from_") or select.args.get("from"), *select.args.get("joins", [])]
    return [s.this for s in sources if s is not None and isinstance(s.this, exp.Unnest)]


def _references(select: exp.Select, name: str) -> list[exp.Column]:
    """The columns in a SELECT's reach that mean its offset column."""
    return [
        column
        for column in select.find_all(exp.Column)
        if column.name == name and not column.table and _means(column, select, name)
    ]


def _means(column: exp.Column, select: exp.Select, name: str) -> bool:
    """Whether an unqualified column means what `select` has under that name, and nothing nearer or out of its sight."""
    node: exp.Expr | None = column
    while node is not None and node is not select:
        if isinstance(node, exp.CTE):
            return False  # what stands in WITH does not see the query around it
        if isinstance(node, exp.Select) and node is not select:
            nearer = [u.args.get("offset") for u in _unnests(node)]
            if any((o.name if isinstance(o, exp.Identifier) else "offset") == name for o in nearer if o):
                return False
        if isinstance(node, exp.Subquery) and isinstance(node.parent, (exp.From, exp.Join)):
            return False  # a table of the FROM clause does not see its neighbours
        node = node.parent
    return True
