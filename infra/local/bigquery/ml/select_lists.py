"""Preprocessing functions in the select list of an ordinary query, where they learn anew at each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from ...bqml import BqmlError
from ..errors import BigQueryError
from .preprocessing_calls import compute, find_calls, has_calls
from .relations import Relations
from .table_functions import _with_ctes

if TYPE_CHECKING:
    from ..statements import Session, Statements

KEPT = "_ml_kept_"
FINAL_CLAUSES = ("order", "limit", "offset", "distinct")


def compute_all(tree: exp.Expr, session: Session, statements: Statements, relations: Relations) -> exp.Expr:
    """`tree` with every such SELECT replaced by one over its computed values, the innermost first.

    Raises:
        BigQueryError: a function stands elsewhere than in a select list (`invalidQuery`).
    """
    find_calls(tree)
    while has_calls(tree):
        selects = [s for s in tree.find_all(exp.Select) if any(has_calls(item) for item in s.expressions)]
        if not selects:
            raise BigQueryError(
                "invalidQuery", "ML preprocessing functions stand in a SELECT list only", location="query"
            )
        innermost = next(s for s in selects if not any(other is not s and s in _above(other) for other in selects))
        computed = _compute(innermost, session, statements, relations)
        if innermost is tree:
            tree = computed
        else:
            innermost.replace(computed)
    return tree


def _above(node: exp.Expr) -> list[exp.Expr]:
    found = []
    above = node.parent
    while above is not None:
        found.append(above)
        above = above.parent
    return found


def _compute(select: exp.Select, session: Session, statements: Statements, relations: Relations) -> exp.Select:
    projections = [item.copy() for item in select.expressions]
    for item in projections:
        if item.is_star:
            raise BigQueryError(
                "notImplemented",
                "SELECT * beside an ML preprocessing function is not carried out here; name the columns",
            )
    source = _with_ctes(select, select)
    for clause in FINAL_CLAUSES:
        source.set(clause, None)
    plain: dict[str, exp.Expr] = {}
    for place, item in enumerate(projections):
        if has_calls(item):
            for column in list(item.find_all(exp.Column)):
                plain.setdefault(column.sql(dialect="bigquery"), column.copy())
        else:
            plain.setdefault(f"={place}", item.unalias().copy())
    names = {sql: f"{KEPT}{number}" for number, sql in enumerate(plain)}
    source.set("expressions", [exp.alias_(expression, names[sql]) for sql, expression in plain.items()])
    rows = relations.table(source, session, statements)
    final: list[exp.Expr] = []
    for place, item in enumerate(projections):
        if has_calls(item):
            for column in list(item.find_all(exp.Column)):
                column.replace(exp.column(names[column.sql(dialect="bigquery")]))
            final.append(item)
        else:
            final.append(exp.alias_(exp.column(names[f"={place}"]), item.output_name or f"f{place}_"))
    try:
        rows, _ = compute(
            final, rows, lambda wanted, over: relations.evaluate(wanted, over, session, statements), session.parameters
        )
    except BqmlError as error:
        raise BigQueryError(error.reason, error.message, location="query") from error
    answer = exp.select(*final).from_(exp.to_table(relations.register(rows, session)))
    for clause in FINAL_CLAUSES:
        if select.args.get(clause):
            answer.set(clause, select.args[clause].copy())
    return answer
