"""Commands about who serves: `review`, `approve`, `reject`, `rollback`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from deployment.application import Application
from deployment.approval import approve as approve_run
from deployment.approval import held_run
from deployment.approval import reject as reject_run
from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.cli.waiting import wait_for_run
from deployment.review import gather_review, review_data, review_page, review_tables
from deployment.rollback import roll_back
from deployment.stages.message import StageMessage
from deployment.stages.run import Run

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
HeldRun = Annotated[str, typer.Argument(metavar="[RUN]", help="The run; default: the newest that is held.")]
Why = Annotated[str, typer.Option("--reason", help="Why, for the ledger.")]


def review(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="The run; default: the newest that was evaluated.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what speaks for and against a run's candidates, beside the champion.

    Example: bqloop review --html review.html
    """
    with application() as app:
        found = gather_review(app, model_of(app.settings), run)
    if html is not None:
        html.write_text(review_page(found), encoding="utf-8")
        OPTIONS.errors.print(f"Wrote {html}: open it in a browser.")
    if as_json:
        print_json(review_data(found))
    elif html is None:
        for part in review_tables(found):
            OPTIONS.console.print(part)


def approve(run: HeldRun = "", reason: Why = "looked at the review", as_json: AsJson = False) -> None:
    """Let the winner of a held run be deployed.

    Example: bqloop approve deal_duplicates-2026-11-21 --reason "slices look right"
    """
    with application(functions=True) as app:
        held = _held(app, run)
        approve_run(held, app.publisher, by=getpass.getuser(), reason=reason)
        row = wait_for_run(app, held.message.model, held.message.run_id)
        if as_json:
            print_json(row)
        else:
            OPTIONS.console.print(f"{row['run_id']}: {row['state']}. {row['reason']}", markup=False, highlight=False)


def reject(run: HeldRun = "", reason: Why = "looked at the review", as_json: AsJson = False) -> None:
    """End a held run; the champion goes on serving.

    Example: bqloop reject deal_duplicates-2026-11-21 --reason "too slow"
    """
    with application() as app:
        held = _held(app, run)
        event = reject_run(held, by=getpass.getuser(), reason=reason)
        told = {"run_id": event.run_id, "state": "REJECTED", "reason": event.details["reason"]}
        if as_json:
            print_json(told)
        else:
            OPTIONS.console.print(f"{told['run_id']}: REJECTED. {told['reason']}", markup=False, highlight=False)


def rollback(
    to: Annotated[str, typer.Option(help="The version to bring back; default: the champion before.")] = "",
    reason: Why = "a person asked for it",
    as_json: AsJson = False,
) -> None:
    """Bring the last champion back; while a rollout runs, end it.

    Example: bqloop rollback --reason "customers complain"
    """
    with application() as app:
        done = roll_back(app, model_of(app.settings), to=to, reason=reason)
        if as_json:
            print_json({"version": done.version, "previous_version": done.previous, "reason": done.reason})
        else:
            OPTIONS.console.print(f"Version {done.version} serves all traffic again, instead of {done.previous}.")


def _held(app: Application, run: str) -> Run:
    model = model_of(app.settings)
    rows = app.ledger(model).read("recent_runs")
    run_id = held_run(rows, run)
    as_of = next(row["as_of"] for row in rows if row["run_id"] == run_id)
    return app.run(StageMessage(model=model, run_id=run_id, stage="decide", as_of=as_of))
