"""Everything that a run's review shows, read once from the ledger, the run's tables and the models."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployment.application import Application
from deployment.gate_policy import gate_policy_of
from deployment.stages.message import StageMessage
from deployment.stages.run import Run
from deployment.stages.tables import of_run
from etl.errors import StateError, StatementError
from etl.ledger import Event
from etl.names import run_of

CHAMPION = "champion"
# How many of the newest runs are looked at for one that was evaluated; most days have nothing new and are skipped.
_LOOK_BACK = 40
COUNTS = frozenset({"row_count", "positives"})
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reviewed:
    """What the templates of `review/` may ask: the model that they are about."""

    model: str


@dataclass(frozen=True)
class Review:
    """A run as a reviewer sees it; rows are those of the tables of `evaluate/`.

    Attributes:
        run_id: The run.
        model: The continuously trained model.
        as_of: The instant as of which it saw the data, ISO 8601.
        state: Where it stands.
        decision: Verdict, winner, threshold, reasons, findings; empty before the gate decided.
        champion: The champion that it was measured against: version, model, threshold; None without one.
        names: The models, the champion first, then the winner, then the rest.
        metrics: One row per model and split.
        intervals: One row per model and metric.
        comparison: One row per candidate and metric.
        slices: One row per model, slice and value.
        bins: One row per model, split and bin.
        curves: Points of the validation curves, one row per model and point; none for a regression, and no bins.
        importance: The strongest features by model.
        cost: One row per stage.
        slice_metric: The metric that slices are looked at in.
        sql_changes: Unified diff of the SQL since the champion's run; "" where nothing changed.
    """

    run_id: str
    model: str
    as_of: str
    state: str
    decision: Row
    champion: Row | None
    names: Sequence[str]
    metrics: Sequence[Row]
    intervals: Sequence[Row] = ()
    comparison: Sequence[Row] = ()
    slices: Sequence[Row] = ()
    bins: Sequence[Row] = ()
    curves: Sequence[Row] = ()
    importance: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    cost: Sequence[Row] = ()
    slice_metric: str = "f1_score"
    sql_changes: str = ""

    def metric(self, name: str, metric: str, split: str = "validation") -> float | None:
        """One metric of one model, None where it is undefined; a count is an int."""
        for row in self.metrics:
            if row["name"] == name and row["split"] == split and row.get(metric) is not None:
                return int(row[metric]) if metric in COUNTS else float(row[metric])
        return None

    def interval(self, name: str, metric: str) -> tuple[float, float] | None:
        """The bootstrap interval of one metric of one model."""
        for row in self.intervals:
            if (row["name"], row["metric"]) == (name, metric) and row["lower"] is not None:
                return float(row["lower"]), float(row["upper"])
        return None


def gather_review(app: Application, model: str, run_id: str = "") -> Review:
    """Gather the review of a run.

    Args:
        app: bqloop in one environment.
        model: The model.
        run_id: The run; "" for the newest that was evaluated.

    Raises:
        StateError: There is no such run, or it was not evaluated.
    """
    ledger = app.ledger(model)
    rows = ledger.read("recent_runs")
    run_id = run_id or _newest_evaluated(app, model, rows)
    events = ledger.events(run_id)
    evaluated = _last(events, "evaluate")
    if evaluated is None:
        raise StateError(f"{run_id} was not evaluated, so there is nothing to review; see `bqloop status`")
    decided = _last(events, "decide")
    decision = dict(decided.details["decision"]) if decided else {}
    champion = evaluated.details.get("champion")
    run = app.run(StageMessage(model=model, run_id=run_id, stage="evaluate", as_of=evaluated.as_of))
    trained = (_last(events, "train") or evaluated).details.get("candidates", {})
    names = [*([CHAMPION] if champion else []), *sorted(trained, key=lambda name: name != decision.get("winner"))]
    models = {name: entry["model"] for name, entry in trained.items()}
    if champion:
        models[CHAMPION] = champion["bigquery_model"]
    return Review(
        run_id=run_id,
        model=model,
        as_of=evaluated.as_of.isoformat(),
        state=next((str(row["state"]) for row in rows if row["run_id"] == run_id), ""),
        decision=decision,
        champion=champion,
        names=names,
        metrics=evaluated.details.get("metrics", []),
        comparison=evaluated.details.get("comparison", []),
        slices=evaluated.details.get("slices", []),
        intervals=_table(run, "intervals"),
        bins=_table(run, "bins"),
        curves=_query(run, "curve_points"),
        importance={name: _importance(run, bigquery_model) for name, bigquery_model in models.items()},
        slice_metric=_slice_metric(run),
        cost=[row for row in ledger.read("cost") if row["run_id"] == run_id],
        sql_changes=_sql_changes(app, model, evaluated, champion),
    )


def _newest_evaluated(app: Application, model: str, rows: Sequence[Row]) -> str:
    for row in rows[:_LOOK_BACK]:
        if _last(app.ledger(model).events(str(row["run_id"])), "evaluate") is not None:
            return str(row["run_id"])
    raise StateError(f"no run of {model} was evaluated yet; start one with `bqloop retrain --wait`")


def _last(events: Sequence[Event], stage: str) -> Event | None:
    return next((e for e in reversed(events) if e.stage == stage and e.status == "SUCCEEDED"), None)


def _table(run: Run, name: str) -> list[dict[str, Any]]:
    """A table of the run; none where its retention has ended."""
    try:
        return run.warehouse.rows(run.naming.run_table(run.slug, name))
    except StatementError:
        return []


def _query(run: Run, name: str, **context: Any) -> list[dict[str, Any]]:
    if name not in run.templates.stems(f"{run.message.model}/review"):
        return []  # a regression has no curves
    statement = of_run(run, **context).render(f"{run.message.model}/review/{name}.sql")
    try:
        return run.warehouse.read(statement, run.parameters())
    except StatementError:
        return []


def _slice_metric(run: Run) -> str:
    gate = gate_policy_of(run.policy)
    return gate.slices.metric if gate.slices else gate.primary


def _importance(run: Run, bigquery_model: str) -> list[dict[str, Any]]:
    """The strongest features of a model: of a tree by gain, of a linear model by weight."""
    reviewed = Reviewed(f"`{bigquery_model}`")
    return _query(run, "feature_importance", reviewed=reviewed) or _query(run, "feature_weights", reviewed=reviewed)


def _sql_changes(app: Application, model: str, evaluated: Event, champion: Row | None) -> str:
    """What changed in the model's own SQL since the run that trained the champion."""
    if champion is None:
        return ""
    ledger = app.ledger(model)
    then = _last(ledger.events(run_of(model, str(champion["slug"]))), "evaluate")
    if then is None or then.sql_sha == evaluated.sql_sha:
        return ""
    old, new = (ledger.templates_of(event.sql_sha).sources for event in (then, evaluated))
    changes: list[str] = []
    for path in sorted(set(old) | set(new)):
        before, after = old.get(path, ""), new.get(path, "")
        if before != after and not path.startswith("ledger/"):
            changes += difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"champion/{path}", f"run/{path}", lineterm=""
            )
    return "\n".join(changes)


def review_data(review: Review) -> dict[str, Any]:
    """The review as plain data."""
    data: dict[str, Any] = json.loads(json.dumps(review.__dict__, default=str))
    return data
