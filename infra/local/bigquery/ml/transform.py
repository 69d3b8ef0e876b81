"""The TRANSFORM clause: evaluated and frozen when a model is trained, replayed when it is asked.

Frozen are the clause's SQL and what its analytic functions learnt from the training rows; both are kept with the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from sqlglot import exp

from ...bqml import Model
from ..dialect import MlBigQuery, parse
from ..errors import BigQueryError
from ..parameters import Parameter
from .preprocessing_calls import VALUE, Evaluate, compute

EXTRA = "transform"


def clause_of(create: exp.Create) -> str | None:
    """The select list of a statement's TRANSFORM, as SQL."""
    properties = create.args.get("properties")
    for item in properties.expressions if properties is not None else []:
        if isinstance(item, exp.TransformModelProperty):
            return ", ".join(expression.sql(dialect=MlBigQuery) for expression in item.expressions)
    return None


def freeze(
    clause: str, rows: pa.Table, evaluate: Evaluate, parameters: Mapping[str, Parameter]
) -> tuple[pa.Table, dict[str, Any]]:
    """The transformed training rows, and what is to be kept in the model's extras.

    Raises:
        BigQueryError, BqmlError: the clause cannot be evaluated.
    """
    projections = projections_of(clause)
    known, learnt = compute(projections, rows, evaluate, parameters)
    inputs = [{"name": field.name, "type": str(field.type)} for field in rows.schema]
    return evaluate(_spread(projections, rows), known), {EXTRA: {"sql": clause, "learnt": learnt, "inputs": inputs}}


def replay(model: Model, rows: pa.Table, evaluate: Evaluate, *, with_label: bool) -> pa.Table:
    """The transformed rows of somebody who asks. Without `with_label`, columns that only the label needs may miss.

    Raises:
        BigQueryError: a column that the clause needs is missing (`invalidQuery`).
    """
    kept = model.extras[EXTRA]
    projections = projections_of(kept["sql"])
    if not with_label:
        labels = {name.lower() for name, _ in model.label_columns}
        present = {name.lower() for name in rows.schema.names}
        projections = [
            item
            for item in projections
            if not (
                item.output_name.lower() in labels and {c.name.lower() for c in item.find_all(exp.Column)} - present
            )
        ]
    known, _ = compute(projections, rows, evaluate, {}, kept["learnt"])
    return evaluate(_spread(projections, rows), known)


def replay_kept(extras: Mapping[str, Any], rows: pa.Table, evaluate: Evaluate) -> pa.Table:
    """The transformed rows, label included, by what `freeze` has kept for a model that is being made."""
    kept = extras[EXTRA]
    projections = projections_of(kept["sql"])
    known, _ = compute(projections, rows, evaluate, {}, kept["learnt"])
    return evaluate(_spread(projections, rows), known)


def is_transformed(model: Model) -> bool:
    """Whether a model was made with TRANSFORM."""
    return EXTRA in model.extras


def projections_of(clause: str) -> list[exp.Expr]:
    """The select list that a clause is.

    Raises:
        BigQueryError: an expression has no name (`invalidQuery`).
    """
    query = parse(f"SELECT {clause}")
    for item in query.expressions:
        if not item.is_star and not item.output_name:
            raise BigQueryError(
                "invalidQuery", f"TRANSFORM: {item.sql(dialect=MlBigQuery)} needs an alias", location="query"
            )
    return [item.copy() for item in query.expressions]


def _spread(projections: list[exp.Expr], rows: pa.Table) -> list[exp.Expr]:
    """`*` stands for the columns of the query, not for the values of the calls that were put beside them."""
    spread: list[exp.Expr] = []
    for item in projections:
        star = (
            item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) and item.is_star else None
        )
        if not isinstance(star, exp.Star):
            spread.append(item)
            continue
        left_out = {name.name.lower() for name in star.args.get("except_") or star.args.get("except") or []}
        spread += [
            exp.column(name, quoted=True)
            for name in rows.schema.names
            if name.lower() not in left_out and not name.startswith(VALUE)
        ]
    return spread
