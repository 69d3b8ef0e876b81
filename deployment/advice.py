"""What is wrong with a model's runs, and the command that mends it: what `bqloop status` says below its table.

Pure: rows of `ledger.runs` and what registry and endpoint show go in, advice comes out. Nothing here decides or repairs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A stage that is at work is heard of at every delivery, at the latest when its function's time is up (9 minutes), and
# its back-off is a minute; what was silent for longer has lost its message, or nobody delivers.
SILENT_AFTER = dt.timedelta(minutes=20)
# The environments' schedules look for new data, score and monitor once a day, and a run that finds nothing to do is a run, too.
UNSCHEDULED_AFTER = dt.timedelta(hours=50)


@dataclass(frozen=True)
class Advice:
    """One thing that is wrong.

    Attributes:
        run_id: The run that it is about; "" where it is about none.
        problem: What is wrong, for people.
        command: What mends it, to be typed as it stands.
    """

    run_id: str
    problem: str
    command: str


@dataclass(frozen=True)
class Serving:
    """What Vertex AI shows.

    Attributes:
        champion: Version under the alias `champion`, None where there is none.
        shares: Percent of the traffic by version on the endpoint.
    """

    champion: str | None
    shares: Mapping[str, int]


def advise(
    runs: Sequence[Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
    serving: Serving | None,
    *,
    now: dt.datetime,
    delivered: bool = True,
) -> list[Advice]:
    """Everything that is wrong, the newest run first.

    Args:
        runs: Rows of `ledger.runs`, newest first.
        history: Rows of `ledger.production_history`, newest first.
        serving: What Vertex AI shows; None where it cannot be reached.
        now: The present instant.
        delivered: Whether anybody delivers messages just now; nobody does while the local cloud is down.
    """
    found = [advice for row in _latest_of_each_kind(runs) for advice in _about_run(row, now, delivered=delivered)]
    if runs and delivered:
        found += _about_schedule(now - max(row["changed_at"] for row in runs))
    if serving is None:
        found.append(Advice("", "Vertex AI cannot be reached, so what serves is not known", "bqloop doctor"))
    elif history:
        rolling_out = any(row["state"] == "CANARY" for row in runs)
        found += _about_serving(history[0], serving, rolling_out=rolling_out)
    return found


def with_advice(runs: Sequence[Mapping[str, Any]], found: Sequence[Advice]) -> list[dict[str, Any]]:
    """The runs, each with the `problem` and `command` of its advice, for programs.

    What is about none of them, and a second thing about one, follows as an entry of its own: `run_id`, `problem`, `command`.
    """
    told = [dict(row) for row in runs]
    by_run = {row["run_id"]: row for row in told}
    for advice in found:
        row = by_run.pop(advice.run_id, None)
        if row is None:
            row = {"run_id": advice.run_id}
            told.append(row)
        row.update(problem=advice.problem, command=advice.command)
    return told


def _latest_of_each_kind(runs: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The runs that nothing newer of the same kind has made up for; one that still goes on is always looked at."""
    mended: set[str] = set()
    for row in runs:
        kind = row["stage"] if row["stage"] in {"score", "monitor"} else "training"
        if kind not in mended or row["state"] in {"RUNNING", "CANARY", "HELD"}:
            yield row
        if row["state"] in {"PROMOTED", "REJECTED", "SCORED"}:
            mended.add(kind)


def _about_run(row: Mapping[str, Any], now: dt.datetime, *, delivered: bool) -> Iterator[Advice]:
    run_id, stage, reason = row["run_id"], row["stage"], row["reason"] or "no reason was recorded"
    silent = now - row["changed_at"]
    if row["state"] == "FAILED" and "-malformed-" in run_id:
        yield Advice(run_id, f"a message to stage {stage} could not be read: {reason}", f"bqloop runs show {run_id}")
    elif row["state"] == "FAILED":
        problem = f"stage {stage} failed: {reason}. Mend the cause, then carry the run on"
        yield Advice(run_id, problem, f"bqloop runs replay {run_id}")
    elif row["state"] in {"RUNNING", "CANARY"} and row["stage_status"] != "FAILED" and not delivered:
        problem = f"it waits at stage {stage}: the local cloud is down, so nobody carries it on; its messages are kept"
        yield Advice(run_id, problem, "bqloop up")
    elif row["state"] == "RUNNING" and silent > SILENT_AFTER:
        problem = f"nothing was heard of it for {_told(silent)}, since stage {stage}: its message was lost, or no function runs"
        yield Advice(run_id, problem, f"bqloop runs replay {run_id}")
    elif row["state"] == "HELD":
        yield Advice(run_id, f"it waits for a person's word (or: bqloop reject {run_id})", f"bqloop approve {run_id}")
    elif row["state"] == "CANARY" and row["stage_status"] == "FAILED":
        problem = (
            f"its rollout is refused: {reason}. Mend the cause, and the next tick goes on; or take the challenger back"
        )
        yield Advice(run_id, problem, "bqloop rollback")
    elif row["state"] == "CANARY" and silent > dt.timedelta(days=1):
        problem = f"its challenger has had the same share of the traffic for {_told(silent)}: {reason}"
        yield Advice(run_id, problem, "bqloop rollback")
    elif row["state"] == "ROLLED_BACK":
        yield Advice(run_id, f"its challenger was rolled back: {reason}", "bqloop retrain --force --wait")


def _about_schedule(silent: dt.timedelta) -> Iterator[Advice]:
    if silent > UNSCHEDULED_AFTER:
        problem = f"there was no run for {_told(silent)}: is the schedule paused, or does nobody take its messages?"
        yield Advice("", problem, "bqloop doctor")


def _about_serving(latest: Mapping[str, Any], serving: Serving, *, rolling_out: bool) -> Iterator[Advice]:
    """Where registry, endpoint and ledger do not tell the same."""
    version, run_id = str(latest["version"]), latest["run_id"]
    if serving.champion is None:
        problem = f"the ledger says that version {version} serves, but no version has the alias champion"
        yield Advice(run_id, problem, "bqloop retrain --force --wait")
        return
    if not serving.shares.get(serving.champion):
        problem = f"version {serving.champion} is champion, but the endpoint gives it no traffic: {_shares(serving)}"
        yield Advice(run_id, problem, f"bqloop rollback --to {serving.champion}")
        return
    if rolling_out:
        return
    if latest["share"] == 100 and version != serving.champion:
        problem = (
            f"version {serving.champion} is champion, but the ledger's last word is version {version}: moved by hand?"
        )
        yield Advice(run_id, problem, "bqloop history")
    strangers = sorted(v for v in serving.shares if v != serving.champion)
    if strangers:
        problem = f"version {', '.join(strangers)} is still deployed, though no challenger is on its way"
        yield Advice(run_id, problem, f"bqloop rollback --to {serving.champion}")


def _shares(serving: Serving) -> str:
    return (
        ", ".join(f"version {v} has {share} %" for v, share in sorted(serving.shares.items())) or "nothing is deployed"
    )


def _told(silence: dt.timedelta) -> str:
    hours = silence / dt.timedelta(hours=1)
    return f"{silence / dt.timedelta(minutes=1):.0f} minutes" if hours < 2 else f"{hours:.0f} hours"
