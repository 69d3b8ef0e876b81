"""Commands about one run: `runs show`, `runs replay`, `runs cancel`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from deployment.application import Application
from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.cli.waiting import wait_for_run
from deployment.stages.message import StageMessage
from deployment.stages.protocol import cancel_run, check_that_it_goes_on, message_to_replay
from etl.errors import InputError
from etl.ledger import Event

app = typer.Typer(help="Look at one run, carry it on, or end it.", no_args_is_help=True)
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run, as `bqloop status` names it.")]


@app.command()
def show(
    run: RunId, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False
) -> None:
    """Show every event of a run, oldest first, and what it takes to make the run anew: instant, commit, SQL.

    Example: bqloop runs show deal_duplicates-2026-11-21
    """
    with application() as app_:
        _, events = _events(app_, run)
        if as_json:
            rows = [
                {
                    "stage": e.stage,
                    "status": e.status,
                    "attempt": e.attempt,
                    "recorded_at": e.at,
                    "as_of": e.as_of,
                    "git_sha": e.git_sha,
                    "sql_sha": e.sql_sha,
                    "details": e.details,
                }
                for e in events
            ]
            print_json(rows)
            return
        table = Table("when (UTC)", "stage", "status", "try", "what", title=run, title_justify="left")
        for e in events:
            reason = str(e.details.get("reason", "")).replace("[", "\\[")
            table.add_row(f"{e.at:%Y-%m-%d %H:%M:%S}", e.stage, e.status, str(e.attempt), reason)
        OPTIONS.console.print(table)
        first = events[0]
        told = f"as of {first.as_of.isoformat()}, commit {first.git_sha or 'unknown'}, SQL {first.sql_sha}"
        OPTIONS.console.print(told, highlight=False, soft_wrap=True)


@app.command()
def replay(
    run: RunId,
    from_stage: Annotated[str, typer.Option("--from", help="The stage to begin at; else where the run stopped.")] = "",
) -> None:
    """Carry a run on where it stopped: a failed stage is tried again, what has ended stays as it is.

    Example: bqloop runs replay deal_duplicates-2026-11-21
    """
    with application(functions=True) as app_:
        model, events = _events(app_, run)
        message = message_to_replay(events, model=model, from_stage=from_stage)
        app_.publisher.publish(message)
        OPTIONS.console.print(f"{run}: {message.stage}, try {message.attempt}", highlight=False)
        row = wait_for_run(app_, model, run, beyond={event.event_id for event in events})
        OPTIONS.console.print(f"{run}: {row['state']}. {row['reason']}", markup=False, highlight=False)
        if row["state"] == "FAILED":
            raise typer.Exit(1)


@app.command()
def cancel(
    run: RunId, reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "cancelled by a person"
) -> None:
    """End a run for good. What serves stays as it is; one whose challenger has traffic is ended by `bqloop rollback`.

    Example: bqloop runs cancel deal_duplicates-2026-11-21 --reason "wrong import"
    """
    with application() as app_:
        model, events = _events(app_, run)
        state = next(
            (row["state"] for row in app_.ledger(model).read("recent_runs") if row["run_id"] == run), "RUNNING"
        )
        check_that_it_goes_on(run, state)
        last = events[-1]
        message = StageMessage(
            model=model,
            run_id=run,
            stage=last.stage,
            as_of=last.as_of,
            options={"attempt": last.attempt},
        )
        jobs = cancel_run(app_.run(message), reason)
        OPTIONS.console.print(f"{run}: CANCELLED; {len(jobs)} running jobs cancelled", highlight=False)


def _events(app_: Application, run: str) -> tuple[str, list[Event]]:
    model = model_of(app_.settings)
    events = app_.ledger(model).events(run)
    if not events:
        known = ", ".join(row["run_id"] for row in app_.ledger(model).read("recent_runs")[:5]) or "none yet"
        raise InputError(f"there is no run {run!r} of {model}. The newest: {known}")
    return model, events
