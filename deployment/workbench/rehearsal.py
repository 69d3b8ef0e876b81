"""What each statement would cost: a dry run on BigQuery against the tables of the newest run, which bills nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deployment.application import Application
from deployment.sql_preview import render_file
from deployment.stages.run import policy_of
from deployment.workbench.variables import parameter_types
from etl.errors import StatementError

# Folders whose statements read only what a run has built or what has come in.
_FOLDERS = ("checks", "features", "evaluate", "predict")
_VALUES: dict[str, Any] = {"STRING": "", "INT64": 1, "FLOAT64": 0.5, "BOOL": True, "ARRAY<STRING>": [""]}


@dataclass(frozen=True)
class Rehearsal:
    """What BigQuery says of a statement without running it.

    Attributes:
        path: The template.
        bytes: What it would process; None where BigQuery refuses it.
        refused: Why; "" where it does not.
    """

    path: str
    bytes: int | None
    refused: str = ""


def rehearse(app: Application, model: str, paths: Sequence[str] = ()) -> Iterator[Rehearsal]:
    """Dry-run the files that a run builds its tables with, of the given ones where some are given.

    Raises:
        UnavailableError: BigQuery cannot be reached.
    """
    templates = app.templates(model)
    policy, warehouse = policy_of(templates), app.warehouse(model)
    runs = [row["run_id"] for row in app.ledger(model).read("recent_runs") if row["stage"] != "check"]
    for folder in _FOLDERS:
        for path in templates.folder(f"{model}/{folder}"):
            if paths and path not in paths:
                continue
            statement = render_file(app.settings, templates, path, next(iter(runs), ""))
            values = {
                name: _VALUES.get(kind, dt.datetime.now(dt.UTC)) for name, kind in parameter_types(policy, path).items()
            }
            try:
                yield Rehearsal(path, warehouse.dry_run(statement, {**values, **policy.parameters}))
            except StatementError as error:
                yield Rehearsal(path, None, str(error).splitlines()[0])
