"""Which kinds of pairs have labels: the rows of `sql/<model>/labels/coverage.sql` for a run, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployment.application import Application
from deployment.stages.message import StageMessage
from deployment.stages.tables import of_run
from etl.errors import InputError, StateError
from etl.ledger import Event

Row = Mapping[str, Any]
# How many of the newest runs are looked at for one that built features; most days have nothing new and are skipped.
_LOOK_BACK = 40
# A stratum below this share of the candidates is too small to ask for labels of.
_WORTH_LABELS = 0.02


@dataclass(frozen=True)
class Coverage:
    """The labels of a run by kinds of pairs.

    Attributes:
        run_id: The run.
        as_of: The instant as of which it saw the labels, ISO 8601.
        rows: One row per dimension and stratum, as the SQL gives them.
        findings: What is missing, one sentence each.
    """

    run_id: str
    as_of: str
    rows: Sequence[Row]
    findings: Sequence[str]


def label_coverage(app: Application, model: str) -> Coverage:
    """The coverage in the newest run that built its tables.

    Raises:
        InputError: The model has no such report.
        StateError: No run has built its tables yet.
        StatementError: The run's tables are gone: their retention has ended.
    """
    templates = app.templates(model)
    if "coverage" not in templates.stems(f"{model}/labels"):
        raise InputError(f"{model} has no report of its labels: sql/{model}/labels/coverage.sql is not there")
    event = _newest_built(app, model)
    run = app.run(StageMessage(model=model, run_id=event.run_id, stage="features", as_of=event.as_of))
    statement = of_run(run).render(f"{model}/labels/coverage.sql")
    rows = run.warehouse.read(statement, run.parameters())
    return Coverage(event.run_id, event.as_of.isoformat(), rows, findings(rows))


def findings(rows: Sequence[Row]) -> list[str]:
    """What the labels lack, largest strata first.

    Args:
        rows: One per dimension and stratum: `candidates`, `labelled`, `duplicates`, `disputed`, `train`, `validation`.
    """
    whole = next((row for row in rows if row["dimension"] == "all"), None)
    if whole is None or not whole["labelled"]:
        return ["there are no labels of pairs that are known here"]
    told = []
    if whole["disputed"]:
        told.append(f"people disagree on {whole['disputed']:,} of {whole['labelled']:,} labelled pairs")
    if whole["left_out"]:
        told.append(
            f"{whole['left_out']:,} labelled pairs are left out, because their deals are on both sides of the split"
        )
    parts = [row for row in rows if row["dimension"] not in {"all", "blocking"}]
    for row in sorted(parts, key=lambda row: -int(row["candidates"])):
        if row["candidates"] < _WORTH_LABELS * whole["candidates"]:
            continue
        lack = _lack(row)
        if lack:
            share = row["candidates"] / whole["candidates"]
            told.append(f"{row['dimension']} {row['stratum']}: {share:.0%} of the candidates, {lack}")
    return told


def _lack(row: Row) -> str:
    if not row["labelled"]:
        return "no labels"
    if not row["duplicates"]:
        return f"{row['labelled']:,} labels, none of a duplicate"
    if row["duplicates"] == row["labelled"]:
        return f"{row['labelled']:,} labels, all of duplicates"
    if not row["train"] or not row["validation"]:
        return f"no labels in split {'train' if not row['train'] else 'validation'}"
    return ""


def _newest_built(app: Application, model: str) -> Event:
    ledger = app.ledger(model)
    for row in ledger.read("recent_runs")[:_LOOK_BACK]:
        for event in reversed(ledger.events(str(row["run_id"]))):
            if event.stage == "features" and event.status == "SUCCEEDED":
                return event
    raise StateError(f"no run of {model} has built its tables yet; start one with: bqloop retrain --wait")
