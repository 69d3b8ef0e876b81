"""The command `evaluate`: how good a version is on labelled rows, measured anew."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from deployment.application import Application
from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.stages.champion import champion_of_version
from deployment.stages.evaluate import CHAMPION, Scored, measure
from deployment.stages.message import StageMessage
from deployment.stages.tables import with_frozen
from etl.errors import StateError

# What is told, by kind of label.
METRICS = {
    "classification": (
        *("positives", "threshold"),
        *("precision", "recall", "f1_score", "average_precision", "roc_auc", "log_loss"),
    ),
    "regression": (
        *("mean_absolute_error", "median_absolute_error", "mean_squared_error", "root_mean_squared_error"),
        *("r2_score", "explained_variance"),
    ),
}


def evaluate(
    split: Annotated[Literal["validation", "test"], typer.Option(help="Which labelled rows.")] = "test",
    version: Annotated[str, typer.Option(help="A version's number or alias.")] = CHAMPION,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Measure a version on the labelled rows of a split as they are now, with its own SQL, statistics and threshold.

    Example: bqloop evaluate --split test --version champion --json
    """
    with application() as app:
        with OPTIONS.errors.status(f"Measuring {version} on the {split} split"):
            found = measure_version(app, model_of(app.settings), version, split)
        if as_json:
            print_json(found)
            return
        table = Table("metric", "value", title=f"{found['model']} version {found['version']}, {split} split")
        for name, value in found.items():
            if name not in {"model", "version", "split"}:
                table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
        OPTIONS.console.print(table)


def measure_version(app: Application, model: str, alias: str, split: str) -> dict[str, Any]:
    """Measure one version.

    Returns:
        model, version, split, rows, and the `METRICS` of the model's kind; a metric that is undefined is None.

    Raises:
        StateError: There is no such version, or no labelled row in that split.
    """
    version = app.registry.get(model, alias)
    now = dt.datetime.now(dt.UTC)
    subject = champion_of_version(version.version_id, version.bigquery_model, app.ledger(model), model)
    run_id = f"{model}-evaluate-{now:%Y-%m-%d-%H%M%S%f}"
    run = app.run(StageMessage(model=model, run_id=run_id, stage="evaluate", as_of=now))
    tables = with_frozen(run, subject)
    try:
        tables.build(("validation_set", "test_set"))
        scored = [Scored.of(CHAMPION, subject.bigquery_model, tables)]
        results = measure(
            run, subject.templates, scored, threshold=subject.threshold, elsewhere=tables.elsewhere, only=("metrics",)
        )
    finally:
        run.drop_tables()
    rows = [row for row in results["metrics"] if row["split"] == split]
    if not rows:
        raise StateError(f"{model} has no labelled rows in the {split} split; import some with: bqloop import")
    row = rows[0]
    return {
        "model": model,
        "version": version.version_id,
        "split": split,
        "rows": row["row_count"],
        **{name: row[name] for name in METRICS[subject.policy.task]},
    }
