"""Where bqemulator's SQL departs from BigQuery's, and the mend for each: one module a family.

`before_translation` changes BigQuery's syntax tree, `after_translation` DuckDB's. Each mend is held against Google's
reference evaluator by tests/parity/sql.
"""

from __future__ import annotations

from sqlglot import exp

from . import array_positions, column_names, dml

BEFORE = (dml.mend, array_positions.mend, column_names.mend)
AFTER: tuple = ()


def before_translation(tree: exp.Expression) -> exp.Expression:
    """The statement in the BigQuery SQL that bqemulator gets right."""
    for mend in BEFORE:
        tree = mend(tree)
    return tree


def after_translation(tree: exp.Expression) -> exp.Expression:
    """The translated statement with what bqemulator gets wrong put right."""
    for mend in AFTER:
        tree = mend(tree)
    return tree
