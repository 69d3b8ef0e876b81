"""Stage `check`: is a run worth it? Enough that is new, or a champion past its age; and is the data sound?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployment.stages.run import Outcome, Run
from deployment.stages.tables import of_run
from deployment.stages.turn import take_turn
from etl.errors import StateError, StillRunning
from etl.model_policy import Freshness
from etl.query_parameters import Null
from etl.templates import RenderedSql

# Examples of violating rows that are kept in the ledger.
_EXAMPLES = 5


@dataclass(frozen=True)
class FreshnessVerdict:
    """Whether to train, and why (not)."""

    train: bool
    reason: str


def judge_freshness(
    policy: Freshness, found: Mapping[str, Any], *, as_of: dt.datetime, last_trained: dt.datetime | None, force: bool
) -> FreshnessVerdict:
    """Decide from what `monitor/freshness.sql` counted whether a run is worth it.

    Args:
        policy: The section `freshness` of model.yml.
        found: new_rows, new_labels, labels; positives and negatives too, unless the label is a number.
        as_of: The run's instant.
        last_trained: as_of of the last run that trained, None before the first.
        force: A person wants it whatever is new; too few labels stop it all the same.
    """
    labels = found["labels"] or 0
    if labels < policy.min_labels:
        return FreshnessVerdict(
            False,
            f"too few labels: {labels} of the {policy.min_labels} that freshness.min_labels asks for; "
            "import more with `bqloop import`",
        )
    positives, negatives = found.get("positives"), found.get("negatives")
    if positives is not None and (positives < policy.min_positives or not negatives):
        return FreshnessVerdict(
            False,
            f"labels of one kind only: {positives} positive (at least {policy.min_positives}) and {negatives} negative",
        )
    if last_trained is None:
        return FreshnessVerdict(True, f"no model was trained yet, and there are {labels} labels")
    rows, new_labels = found["new_rows"] or 0, found["new_labels"] or 0
    since = f"since {last_trained:%Y-%m-%d %H:%M} UTC"
    if force:
        return FreshnessVerdict(True, f"asked for by force; {rows} new rows and {new_labels} new labels {since}")
    if rows >= policy.min_new_rows and new_labels >= policy.min_new_labels:
        return FreshnessVerdict(True, f"{rows} new rows and {new_labels} new labels {since}")
    age = (as_of - last_trained) / dt.timedelta(days=1)
    if age > policy.max_age_days and (rows or new_labels):
        return FreshnessVerdict(
            True, f"the last training is {age:.0f} days old, past max_age_days {policy.max_age_days:g}"
        )
    return FreshnessVerdict(
        False,
        f"nothing new enough: {rows} new rows (of {policy.min_new_rows}) and {new_labels} new labels "
        f"(of {policy.min_new_labels}) {since}",
    )


def check(run: Run) -> Outcome:
    """Look for fresh data and sound data, if no other run of the model goes on.

    Raises:
        StillRunning: Another run goes on, and the policy is to wait for it.
    """
    turn = take_turn(run)
    if turn.taken_by is not None:
        other = turn.taken_by
        reason = f"run {other['run_id']} of this model is still at stage {other['stage']}; one run goes on at a time"
        if run.policy.concurrency.second_run == "wait":
            raise StillRunning(reason)
        return Outcome(f"{reason}. Ask again when it has ended: bqloop status", "SKIPPED", status="SKIPPED")
    tables = of_run(run)
    model, as_of = run.message.model, run.message.as_of
    trained = run.ledger.read("last_trained", before=as_of, run_id=run.message.run_id)
    last_trained = trained[0]["as_of"] if trained else None
    rows = run.warehouse.read(
        tables.render(f"{model}/monitor/freshness.sql"),
        run.parameters(since=last_trained or Null("TIMESTAMP")),
        usage=run.usage,
    )
    found = rows[0] if rows else {}
    if not found:
        raise StateError(f"sql/{model}/monitor/freshness.sql gave no row; it must give exactly one")
    verdict = judge_freshness(
        run.policy.freshness,
        found,
        as_of=as_of,
        last_trained=last_trained,
        force=bool(run.message.options.get("force")),
    )
    details: dict[str, Any] = {"freshness": found, "last_trained": last_trained, "turn": turn.number}
    if not verdict.train:
        return Outcome(verdict.reason, "SKIPPED", details=details, status="SKIPPED")
    details["checks"] = findings = violations(run)
    fatal = [f for f in findings if f["severity"] == "fail" and f["rows"]]
    if fatal:
        names = "; ".join(f"{f['check']}: {f['rows']} rows" for f in fatal)
        raise StateError(f"checks on incoming data failed, nothing was trained: {names}. See sql/{model}/checks/")
    run.ledger.keep_sources(run.message.run_id)
    return Outcome(verdict.reason, next_stage="features", details=details)


def violations(run: Run) -> list[dict[str, Any]]:
    """What each of `checks/` found: its name, severity, how many rows, and a few of them."""
    tables, found = of_run(run), []
    for path in run.templates.folder(f"{run.message.model}/checks"):
        name = path.rsplit("/", 1)[-1].removesuffix(".sql")
        check_policy = run.policy.checks.get(name)
        severity = check_policy.severity if check_policy else "warn"
        statement = tables.render(path)
        if severity == "quarantine":
            count, examples = _quarantine(run, name, statement)
        else:
            rows = run.warehouse.read(statement, run.parameters(), usage=run.usage)
            count, examples = len(rows), rows[:_EXAMPLES]
        found.append({"check": name, "severity": severity, "rows": count, "examples": examples})
    return found


def _quarantine(run: Run, name: str, check_statement: RenderedSql) -> tuple[int, list[dict[str, Any]]]:
    """Keep the rows that a check finds out of the run; how many there are, and a few of them."""
    folder = f"{run.message.model}/monitor"
    tables = of_run(run, check_query=check_statement.text)
    run.execute(tables.render(f"{folder}/quarantine.sql"), f"quarantine-{name}", check_name=name)
    rows = run.warehouse.read(
        tables.render(f"{folder}/quarantined.sql"), run.parameters(check_name=name), usage=run.usage
    )
    examples = [{key: value for key, value in row.items() if key != "row_count"} for row in rows]
    return (rows[0]["row_count"] if rows else 0), examples
