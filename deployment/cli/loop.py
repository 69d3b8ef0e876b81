"""Commands about the loop itself: `up`, `retrain`, `score`, `status`, `history`, `cost`."""

from __future__ import annotations

import datetime as dt
import signal
import threading
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from deployment.advice import Advice, Serving, advise, with_advice
from deployment.application import Application
from deployment.cli.session import OPTIONS, application, local_cloud, model_of, print_json, state_folder
from deployment.cli.waiting import wait_for_run
from deployment.endpoint import Endpoint
from deployment.setup import prepare
from deployment.stages.message import StageMessage, scheduled_run_id
from etl.errors import InputError, UnavailableError
from etl.settings import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AsOf = Annotated[
    str, typer.Option("--as-of", help="See the data as of this instant (ISO 8601; UTC where no zone is given).")
]


def _run_column() -> Column:
    # Names of runs are for copying: never cut.
    return Column("run", no_wrap=True)


_STATE_STYLE = {
    "PROMOTED": "green",
    "SCORED": "green",
    "RUNNING": "cyan",
    "CANARY": "cyan",
    "SKIPPED": "dim",
    "HELD": "yellow",
    "REJECTED": "yellow",
    "ROLLED_BACK": "red",
    "FAILED": "bold red",
}


def up() -> None:
    """Start the local cloud and keep it running until Ctrl-C.

    Example: bqloop up
    """
    if OPTIONS.env != "local":
        raise InputError(f"--env {OPTIONS.env}: only the local cloud can be started; Terraform makes the others")
    with local_cloud(state_folder(), functions=True, scheduler=True) as cloud:
        if cloud is None:
            OPTIONS.console.print(f"The local cloud is already running on {state_folder()}.")
            return
        prepare(Application(load_settings("local")))
        table = Table("service", "address", title="The local cloud is up", title_justify="left")
        for name, address in sorted(cloud.endpoints.items()):
            table.add_row(name, address)
        OPTIONS.console.print(table)
        OPTIONS.console.print(f"State: {state_folder()}. Stop with Ctrl-C; nothing is lost.")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stop.wait()


def parse_instant(text: str) -> dt.datetime:
    """An instant from the command line, UTC where no zone is given; now where it is empty.

    Raises:
        InputError: It is no ISO 8601 date or time.
    """
    if not text:
        return dt.datetime.now(dt.UTC)
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--as-of {text!r} is no ISO 8601 date or time, such as 2026-11-21T05:00:00Z") from error
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)


def next_run_id(app: Application, model: str, as_of: dt.datetime) -> str:
    """The run that a person's retrain is: the day's run if it still goes on, else the next one of that day."""
    day = scheduled_run_id(model, "check", as_of)
    known = {row["run_id"]: row["state"] for row in app.ledger(model).read("recent_runs")}
    name, number = day, 1
    while name in known and known[name] != "RUNNING":
        number += 1
        name = f"{day}-{number}"
    return name


def retrain(
    as_of: AsOf = "",
    force: Annotated[bool, typer.Option(help="Train even where nothing is new.")] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait until the run ends, and tell how. Exit code 1 if it failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for a run now: check, features, train, evaluate, decide, deploy.

    Example: bqloop retrain --wait
    """
    instant = parse_instant(as_of)
    with application(functions=True) as app:
        model = model_of(app.settings)
        run_id = next_run_id(app, model, instant)
        options = {"force": True} if force else {}
        app.publisher.publish(StageMessage(model=model, run_id=run_id, stage="check", as_of=instant, options=options))
        state = wait_for_run(app, model, run_id) if wait or OPTIONS.own_cloud else None
        if as_json:
            print_json(state or {"run_id": run_id, "state": "REQUESTED"})
        elif state is None:
            OPTIONS.console.print(f"Asked for {run_id}. Watch it with: bqloop status")
        else:
            _show_run(state)
        if state and state["state"] == "FAILED":
            raise typer.Exit(1)


def score(
    as_of: AsOf = "",
    rebuild: Annotated[
        bool, typer.Option(help="Score all deals again, not only what came since the last time; the rows are the same.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Batch-score what came in with the champion, and cluster the duplicates.

    Example: bqloop score
    """
    instant = parse_instant(as_of)
    with application(functions=True) as app:
        model = model_of(app.settings)
        run_id = f"{model}-score-{instant:%Y-%m-%d-%H%M%S}"
        options = {"rebuild": True} if rebuild else {}
        app.publisher.publish(StageMessage(model=model, run_id=run_id, stage="score", as_of=instant, options=options))
        state = wait_for_run(app, model, run_id)
        print_json(state) if as_json else _show_run(state)
        if state["state"] == "FAILED":
            raise typer.Exit(1)


def status(as_json: AsJson = False) -> None:
    """Show the newest runs, where each stands and why; and what is wrong, with the command that mends it.

    Example: bqloop status
    """
    with application() as app:
        model = model_of(app.settings)
        rows = app.ledger(model).read("recent_runs")
        found = _advice(app, model, rows)
        if as_json:
            print_json(with_advice(rows, found))
            return
        if not rows:
            OPTIONS.console.print("No runs yet. Import rows that have labels, then: bqloop retrain --wait")
            return
        table = Table(
            _run_column(), "state", "stage", "as of (UTC)", "why", title=f"Runs of {model}", title_justify="left"
        )
        for row in rows[:20]:
            style = _STATE_STYLE.get(row["state"], "")
            table.add_row(
                row["run_id"],
                f"[{style}]{row['state']}[/]" if style else row["state"],
                row["stage"],
                f"{row['as_of']:%Y-%m-%d %H:%M}",
                _escaped(row["reason"]),
            )
        OPTIONS.console.print(table)
        for advice in found:
            about = f"{advice.run_id}: " if advice.run_id else ""
            OPTIONS.console.print(f"{about}{advice.problem}", markup=False, highlight=False)
            OPTIONS.console.print(f"  -> {advice.command}", markup=False, highlight=False)


def history(as_json: AsJson = False) -> None:
    """Show which version served when, and why it changed.

    Example: bqloop history
    """
    with application() as app:
        model = model_of(app.settings)
        rows = app.ledger(model).read("production_history")
        if as_json:
            print_json(rows)
            return
        if not rows:
            OPTIONS.console.print("Nothing has served yet. Train and promote a model with: bqloop retrain --wait")
            return
        table = Table("when (UTC)", "what", "version", "before", "share %", "threshold", "why", title_justify="left")
        for row in rows:
            table.add_row(
                f"{row['changed_at']:%Y-%m-%d %H:%M:%S}",
                row["action"],
                row["version"],
                row["previous_version"] or "-",
                str(row["share"]),
                _number(row["threshold"]),
                _escaped(row["reason"]),
            )
        OPTIONS.console.print(table)


def cost(as_json: AsJson = False) -> None:
    """Show what each stage of each run used: bytes billed, slot time, seconds.

    Example: bqloop cost
    """
    with application() as app:
        model = model_of(app.settings)
        rows = app.ledger(model).read("cost")
        if as_json:
            print_json(rows)
            return
        if not rows:
            OPTIONS.console.print("No runs yet.")
            return
        table = Table(_run_column(), "stage", "jobs", "bytes billed", "slot seconds", "seconds", title_justify="left")
        for row in rows:
            table.add_row(
                row["run_id"],
                row["stage"],
                str(row["jobs"]),
                f"{row['bytes_billed'] or 0:,}",
                f"{(row['slot_ms'] or 0) / 1000:.1f}",
                f"{row['seconds']:.1f}",
            )
        OPTIONS.console.print(table)


def _advice(app: Application, model: str, rows: list[dict[str, Any]]) -> list[Advice]:
    history = app.ledger(model).read("production_history")
    serving: Serving | None = None
    if history:
        try:
            champion = app.registry.champion(model)
            deployed = Endpoint(app.settings, model).deployed()
            shares = {version: there.share for version, there in deployed.items()}
            serving = Serving(champion.version_id if champion else None, shares)
        except UnavailableError:
            serving = None
    serving = serving or (None if history else Serving(None, {}))
    # A local cloud that lives only as long as this command carries nothing on.
    return advise(rows, history, serving, now=dt.datetime.now(dt.UTC), delivered=not OPTIONS.own_cloud)


def _show_run(row: dict[str, Any]) -> None:
    style = _STATE_STYLE.get(row["state"], "")
    OPTIONS.console.print(
        f"{row['run_id']}: [{style}]{row['state']}[/]" if style else f"{row['run_id']}: {row['state']}"
    )
    for reason in str(row["reason"] or "").split("; "):
        OPTIONS.console.print(f"  {_escaped(reason)}", highlight=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _escaped(text: str | None) -> str:
    return (text or "").replace("[", "\\[")
