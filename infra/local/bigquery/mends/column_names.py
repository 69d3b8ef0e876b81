"""BigQuery calls a column that has no name of its own `f0_`, `f1_`, ... in the order in which they stand; a field has its own."""

from __future__ import annotations

from sqlglot import exp


def mend(tree: exp.Expr) -> exp.Expr:
    """Name the unnamed columns of the outermost SELECT."""
    query: exp.Expr | None = tree
    while isinstance(query, (exp.SetOperation, exp.Subquery)):
        query = query.this
    if not isinstance(query, exp.Select) or query.args.get("kind"):
        return tree
    place = 0
    for projection in list(query.expressions):
        if projection.is_star or isinstance(projection, (exp.Alias, exp.Aliases, exp.Column)):
            continue
        if isinstance(projection, exp.Dot) and isinstance(projection.expression, exp.Identifier):
            projection.replace(exp.alias_(projection.copy(), projection.expression.name, quoted=True))
            continue
        projection.replace(exp.alias_(projection.copy(), f"f{place}_"))
        place += 1
    return tree
