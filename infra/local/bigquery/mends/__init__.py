"""Where bqemulator's SQL departs from BigQuery's, and the mend for each: one module a family.

A rule takes a node of BigQuery's syntax tree and gives what is to stand in its place, or None to leave it. What the
rules put in are functions of `infra/local/bigquery/functions`, which bqemulator passes on as they are. Each mend is held
against Google's reference evaluator by tests/parity/sql.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from . import aggregates, arrays, casts, column_names, dates, ddl, dml, json_values, numbers, offset_columns, text

Rule = Callable[[Any], exp.Expr | None]

RULES: dict[type[Any], Rule] = {
    **casts.RULES,
    **text.RULES,
    **dates.RULES,
    **arrays.RULES,
    **aggregates.RULES,
    **json_values.RULES,
    **numbers.RULES,
}


def before_translation(tree: exp.Expr) -> exp.Expr:
    """The statement in the BigQuery SQL that bqemulator gets right."""
    tree = column_names.mend(offset_columns.mend(dml.mend(ddl.mend(tree))))
    for node in reversed(list(tree.walk())):
        rule = RULES.get(type(node))
        if rule is None or (node.parent is None and node is not tree):
            continue
        replacement = rule(node)
        if replacement is not None and replacement is not node:
            if node is tree:
                tree = replacement
            else:
                node.replace(replacement)
    return tree
