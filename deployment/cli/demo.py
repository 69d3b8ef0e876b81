"""The command `demo`: the whole loop over three generated days, on a throw-away local cloud.

Day 1 brings deals and labels, and the first champion. Day 2 brings nothing, and is skipped. Day 3 brings more, and
challengers that have to beat the champion. Everything runs as it does in earnest: files are imported, messages are
published to topics, functions carry the stages out, the endpoint answers, and every answer is logged.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer
from rich.panel import Panel
from rich.table import Table

from deployment.application import Application
from deployment.cli.session import OPTIONS, local_cloud
from deployment.cli.waiting import wait_for_run
from deployment.setup import prepare
from deployment.stages.message import StageMessage, scheduled_run_id
from etl.errors import UnavailableError
from etl.ingest import import_deals, import_labels
from etl.sample_deals import World, generate_labels, write_day
from etl.settings import load_settings

_DAYS = (1, 2, 3)
# Day of the demo to day of the generated world, and how many times the first day's labels it brings.
_BUSY_DAYS = {1: (0, 1), 3: (1, 7)}
_EVENING = dt.time(18)
_PAIRS_ASKED = 20
_LOG_PATIENCE_SECONDS = 60.0
# What the evaluation measures, as the table heads it.
_METRICS = {"precision": "precision", "recall": "recall", "f1_score": "F1", "average_precision": "AP"}


@dataclass
class Day:
    """What happened on one day.

    Attributes:
        number: 1, 2, 3.
        as_of: When the scheduler asked.
        deals: Deals imported.
        labels: Labels imported.
        run: The run's row of the ledger.
        metrics: Rows of the evaluation.
        decision: The gate's verdict, empty where it came to none.
        answers: Predictions that came through the endpoint.
        seconds: From the message to the end of the run.
    """

    number: int
    as_of: dt.datetime
    deals: int = 0
    labels: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)
    answers: int = 0
    seconds: float = 0.0


def demo(
    deals_per_day: Annotated[int, typer.Option(help="Generated deals a day.", min=200)] = 2000,
    labels: Annotated[int, typer.Option(help="Labels of day 1; day 3 brings seven times as many.", min=200)] = 400,
    seed: Annotated[int, typer.Option(help="Another seed, other deals.")] = 7,
    keep: Annotated[Path | None, typer.Option(help="Keep the local cloud's state in this folder.")] = None,
) -> None:
    """Run the whole loop over three generated days on a throw-away local cloud.

    Example: bqloop demo
    """
    OPTIONS.env = "local"
    started = time.monotonic()
    with _state(keep) as state, local_cloud(state, functions=True):
        app = Application(load_settings("local"))
        prepare(app)
        _say(
            f"The local cloud is up after {time.monotonic() - started:.0f} s: BigQuery, Pub/Sub, functions, Vertex AI."
        )
        first_day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=len(_DAYS))
        world = World(seed, deals_per_day, first_day)
        days = [_one_day(app, state, world, number, labels) for number in _DAYS]
        logged = _wait_for_log(app, sum(day.answers for day in days))
    _show(days, logged, time.monotonic() - started, keep)
    if any(day.run.get("state") == "FAILED" for day in days):
        raise typer.Exit(1)


@contextlib.contextmanager
def _state(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bqloop-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _one_day(app: Application, state: Path, world: World, number: int, labels: int) -> Day:
    model = app.settings.models[0]
    date = world.first_day + dt.timedelta(days=number - 1)
    day = Day(number, as_of=dt.datetime.combine(date, _EVENING, dt.UTC))
    OPTIONS.console.rule(f"Day {number}, {date}", align="left")
    if number in _BUSY_DAYS:
        _import_day(app, state, day, world, labels)
    else:
        _say("Nothing new came in.")
    run_id = scheduled_run_id(model, "check", day.as_of)
    begun = time.monotonic()
    # What Cloud Scheduler publishes every morning; the instant is given, because three days pass in a minute here.
    app.publisher.publish(StageMessage(model=model, run_id=run_id, stage="check", as_of=day.as_of))
    day.run = wait_for_run(app, model, run_id)
    day.seconds = time.monotonic() - begun
    for event in app.ledger(model).events(run_id):
        if event.stage == "evaluate" and event.status == "SUCCEEDED":
            day.metrics = [row for row in event.details["metrics"] if row["split"] == "validation"]
        if event.stage == "decide" and event.status == "SUCCEEDED":
            day.decision = dict(event.details["decision"])
    _say(f"{day.run['state']}")
    if day.metrics:
        day.answers = _ask_endpoint(app, model)
        _say(f"{day.answers} pairs asked through the endpoint.")
    return day


def _import_day(app: Application, state: Path, day: Day, world: World, labels: int) -> None:
    model = app.settings.models[0]
    folder = state / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    deals_file, labels_file = folder / f"deals-{day.number}.parquet", folder / f"labels-{day.number}.parquet"
    world_day, times = _BUSY_DAYS[day.number]
    write_day(world, world_day, deals_file)
    pq.write_table(generate_labels(world, world_day, labels * times), labels_file)
    warehouse, templates = app.warehouse(model), app.templates(model)
    arrived = day.as_of - dt.timedelta(minutes=30)
    taken = import_deals(warehouse, templates, deals_file, ingested_at=arrived)
    judged = import_labels(warehouse, templates, labels_file, ingested_at=arrived)
    day.deals, day.labels = taken.loaded, judged.loaded
    _say(f"Imported {day.deals:,} deals and {day.labels:,} labelled pairs.")


def _ask_endpoint(app: Application, model: str) -> int:
    """Ask the prediction service about pairs that people have judged; the number of answers."""
    labels = app.warehouse(model).rows(f"{app.settings.project}.{app.settings.dataset}.labels")[-_PAIRS_ASKED:]
    pairs = [
        {
            "left": {"source": row["left_source"], "deal_id": row["left_id"]},
            "right": {"source": row["right_source"], "deal_id": row["right_id"]},
        }
        for row in labels
    ]
    request = urllib.request.Request(  # noqa: S310 -- the address is the local cloud's
        f"{app.settings.endpoints.functions}/service/score",
        data=json.dumps({"pairs": pairs}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 -- as above
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise UnavailableError(f"the prediction service answered {error.code}: {error.read().decode()}") from error
    return len(answer["results"])


def _wait_for_log(app: Application, expected: int) -> int:
    """The rows of the inference log, once all that were answered have arrived or patience ends."""
    settings = app.settings
    table = f"{settings.project}.{settings.dataset}.{settings.inference_log.table}"
    warehouse = app.warehouse(settings.models[0])
    end = time.monotonic() + _LOG_PATIENCE_SECONDS
    with OPTIONS.errors.status("Waiting for the inference log"):
        while (logged := len(warehouse.rows(table))) < expected and time.monotonic() < end:
            time.sleep(0.5)
    return logged


def _goes_without_saying(reason: str) -> bool:
    """Rules that were met by the way: the review of a run shows them all."""
    return "or above the floor" in reason or "within the tolerated loss" in reason


def _say(text: str) -> None:
    OPTIONS.console.print(text, markup=False, highlight=False)


def _show(days: list[Day], logged: int, seconds: float, keep: Path | None) -> None:
    out = OPTIONS.console
    out.rule("What happened")
    story = Table("day", "came in", "run", "took", "why", show_lines=True)
    for day in days:
        came = f"{day.deals:,} deals\n{day.labels:,} labels" if day.deals else "nothing"
        reasons = day.decision.get("reasons") or [str(day.run.get("reason") or "")]
        reasons = [reason for reason in reasons if not _goes_without_saying(reason)]
        told = "\n".join(reason.replace("[", "\\[") for reason in reasons)
        story.add_row(str(day.number), came, day.run.get("state", "?"), f"{day.seconds:.0f} s", told)
    out.print(story)
    for day in days:
        if not day.metrics:
            continue
        title = f"Day {day.number}: all on the same {day.metrics[0]['row_count']} validation rows"
        # On a terminal of 80 columns every name is to be read whole.
        table = Table(
            "model",
            "threshold",
            *_METRICS.values(),
            "verdict",
            title=title,
            title_justify="left",
            collapse_padding=True,
        )
        for row in sorted(day.metrics, key=lambda r: (r["name"] != "champion", r["name"])):
            winner = row["name"] == day.decision.get("winner")
            verdict = day.decision.get("verdict", "") if winner else ""
            numbers = [f"{row[m]:.3f}" if row[m] is not None else "-" for m in _METRICS]
            table.add_row(row["name"], f"{row['threshold']:.3f}", *numbers, verdict)
        out.print(table)
    out.print(f"{sum(day.answers for day in days)} predictions asked, {logged} rows in inference_log.", highlight=False)
    next_steps = [
        "source .venv/bin/activate   have the command at hand",
        "bqloop import deals --help  your own data; then labels, and retrain --wait",
        "bqloop up                   keep a local cloud; all other commands use it",
        "bqloop sql list             the SQL; sql render FILE: what BigQuery gets",
        "bqloop doctor               what is missing here, and how to mend it",
    ]
    if keep is not None:
        next_steps.insert(1, f"BQLOOP_STATE={keep} bqloop status    look into this demo; also history, cost, review")
    out.print(Panel("\n".join(next_steps), title="Try next", title_align="left", expand=False))
    out.print(f"Three days in {seconds:.0f} s.", highlight=False)
