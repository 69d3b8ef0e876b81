"""The command `monitor`: what the service's answers and people's verdicts say of the champion."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deployment.cli.loop import AsJson, AsOf, parse_instant
from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.cli.waiting import wait_for_run
from deployment.monitoring.findings import Finding, read_findings
from deployment.monitoring.page import monitoring_page
from deployment.review.page import number
from deployment.stages.message import StageMessage


def monitor(
    html: Annotated[Path | None, typer.Option(help="Draw it on a page of its own, into this file.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Look now, and do not wait for the daily look.")] = False,
    as_of: AsOf = "",
    as_json: AsJson = False,
) -> None:
    """Show what monitoring found: drift, skew, score shift, live precision from feedback.

    Example: bqloop monitor --html monitoring.html
    """
    with application(functions=now) as app:
        model = model_of(app.settings)
        if now:
            instant = parse_instant(as_of)
            run_id = f"{model}-monitor-{instant:%Y-%m-%d-%H%M%S}"
            app.publisher.publish(StageMessage(model=model, run_id=run_id, stage="monitor", as_of=instant, options={}))
            state = wait_for_run(app, model, run_id)
            if state["state"] == "FAILED":
                OPTIONS.errors.print(f"{run_id}: {state['reason']}", markup=False)
                raise typer.Exit(1)
        findings = read_findings(app, model)
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
        return
    if not findings:
        OPTIONS.console.print("Nothing was looked at yet. Look now with: bqloop monitor --now")
        return
    if html is not None:
        html.write_text(monitoring_page(model, findings), encoding="utf-8")
        OPTIONS.console.print(f"Wrote {html}.")
    _show(model, findings)


def _show(model: str, findings: list[Finding]) -> None:
    table = Table(
        "as of (UTC)",
        "version",
        "pairs",
        "p95 ms",
        "score shift",
        "drifted",
        "live precision",
        "what came of it",
        title=f"Monitoring of {model}",
        title_justify="left",
    )
    for finding in findings[-20:]:
        precision = finding.live_precision
        told = "–" if precision is None else f"{precision[0]:.2f} ({precision[1]:.2f} to {precision[2]:.2f})"
        table.add_row(
            f"{finding.as_of:%Y-%m-%d %H:%M}",
            finding.champion or "–",
            number(finding.answers.get("pairs")),
            number(finding.answers.get("p95_ms")),
            number(finding.score_shift),
            str(len(finding.drifted)),
            told,
            finding.reason.replace("[", r"\["),
        )
    OPTIONS.console.print(table)
    latest = findings[-1]
    for name, rows in (("drifted", latest.drifted), ("skewed from the training data", latest.skew)):
        for row in rows[:10]:
            line = f"  {row['subject']} {name}: {number(row['value'])}, limit {number(row['threshold'])}"
            OPTIONS.console.print(line, markup=False, highlight=False)
    if latest.stale:
        OPTIONS.console.print(latest.stale, markup=False, highlight=False)
