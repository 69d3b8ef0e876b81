"""Preprocessing functions in the select list of an ordinary query, where they learn anew at each run."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pyarrow as pa
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


def _told_apart(rows: pa.Table, kept: list[str], names: dict[str, str]) -> tuple[pa.Table, dict[str, list[exp.Expr]]]:
    """The rows under names that nothing else has, and what each star stands for."""
    given = list(rows.schema.names)
    unique: list[str] = []
    stars: dict[str, list[exp.Expr]] = {}
    for sql in kept:
        if not sql.startswith("*"):
            unique.append(names[sql])
            continue
        end = next(place for place in range(len(unique), len(given)) if given[place] == names[f"|{sql[1:]}"])
        stars[sql] = []
        for place in range(len(unique), end):
            unique.append(f"{KEPT}star_{place}")
            stars[sql].append(exp.alias_(exp.column(unique[-1]), given[place], quoted=True))
    return rows.rename_columns(unique), stars


def _compute(select: exp.Select, session: Session, statements: Statements, relations: Relations) -> exp.Select:
    projections = [item.copy() for item in select.expressions]
    source = _with_ctes(select, select)
    for clause in FINAL_CLAUSES:
        source.set(clause, None)
    plain: dict[str, exp.Expr] = {}
    for place, item in enumerate(projections):
        if has_calls(item):
            for column in list(item.find_all(exp.Column)):
                plain.setdefault(column.sql(dialect="bigquery"), column.copy())
        elif item.is_star:
            # How many columns a star stands for is told by the one that is put behind it.
            plain[f"*{place}"], plain[f"|{place}"] = item.copy(), exp.true()
        else:
            plain.setdefault(f"={place}", item.unalias().copy())
    clauses = {name: select.args[name].copy() for name in FINAL_CLAUSES if select.args.get(name)}
    shown = {item.alias_or_name.lower() for item in projections}
    sorted_by = [
        column
        for column in (clauses["order"].find_all(exp.Column) if "order" in clauses else ())
        if column.table or column.name.lower() not in shown
    ]
    for column in sorted_by:
        plain.setdefault(column.sql(dialect="bigquery"), column.copy())
    plain = plain or {"": exp.true()}
    names = {sql: f"{KEPT}{number}" for number, sql in enumerate(plain)}
    source.set(
        "expressions",
        [expr if sql.startswith("*") else exp.alias_(expr, names[sql]) for sql, expr in plain.items()],
    )
    rows = relations.table(source, session, statements)
    rows, stars = _told_apart(rows, list(plain), names)
    final: list[exp.Expr] = []
    unnamed = count()
    for place, item in enumerate(projections):
        if f"*{place}" in stars:
            final.extend(stars[f"*{place}"])
        elif has_calls(item):
            for column in list(item.find_all(exp.Column)):
                column.replace(exp.column(names[column.sql(dialect="bigquery")]))
            final.append(item if isinstance(item, exp.Alias) else exp.alias_(item, f"f{next(unnamed)}_"))
        else:
            final.append(exp.alias_(exp.column(names[f"={place}"]), item.output_name or f"f{next(unnamed)}_"))
    for column in sorted_by:
        column.replace(exp.column(names[column.sql(dialect="bigquery")]))
    try:
        rows, _ = compute(
            final, rows, lambda wanted, over: relations.evaluate(wanted, over, session, statements), session.parameters
        )
    except BqmlError as error:
        raise BigQueryError(error.reason, error.message, location="query") from error
    answer = exp.select(*final).from_(exp.to_table(relations.register(rows, session)))
    for name, clause in clauses.items():
        answer.set(name, clause)
    return answer
