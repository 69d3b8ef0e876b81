"""Names of models in statements: `dataset.model`, `project.dataset.model`, quoted in one piece or in several."""

from __future__ import annotations

from sqlglot import exp

from ..errors import BigQueryError

Key = tuple[str, str, str]


def key_of(table: exp.Expr, project: str) -> Key:
    """Project, dataset and model of a parsed name.

    Raises:
        BigQueryError: it has no dataset (`invalidQuery`).
    """
    parts = [piece for part in table.parts for piece in part.name.split(".")] if isinstance(table, exp.Table) else []
    return key_of_parts(parts, project)


def key_of_text(text: str, project: str) -> Key:
    """The same for a name as it stands in the SQL.

    Raises:
        BigQueryError: it has no dataset (`invalidQuery`).
    """
    return key_of_parts([piece for piece in text.replace("`", "").split(".") if piece], project)


def key_of_parts(parts: list[str], project: str) -> Key:
    """The same for the pieces between the dots.

    Raises:
        BigQueryError: it has no dataset (`invalidQuery`).
    """
    if len(parts) == 2:  # dataset and model
        return project, parts[0], parts[1]
    if len(parts) == 3:  # project, dataset and model
        return parts[0], parts[1], parts[2]
    raise BigQueryError(
        "invalidQuery",
        f'Model name "{".".join(parts)}" must be qualified with a dataset (e.g. dataset.model).',
        location="query",
    )
