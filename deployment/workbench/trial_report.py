"""What a try found, as data, as Markdown for a pull request, and as one page that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from deployment import review
from deployment.evidence import HIGHER_IS_BETTER, LOWER_IS_BETTER
from deployment.review.plots import interval_chart
from deployment.stages.evaluate import CHAMPION
from deployment.workbench.query_price import price
from deployment.workbench.trial import Trial
from deployment.workbench.trial_answer import gains_of

_HERE = Path(__file__).parent
# Values of slices that are shown: those with the most rows.
_SLICES = 12


def trial_data(trial: Trial) -> dict[str, Any]:
    """The try as plain data."""
    found = {
        "model": trial.model,
        "as_of": trial.as_of,
        "answer": trial.judgement.answer.value,
        "champion": {"version": trial.champion.version, "candidate": trial.champion.candidate},
        "judgement": asdict(trial.judgement),
        "gate": trial.decision.model_dump(mode="json"),
        "evidence": trial.evidence.model_dump(mode="json"),
        "features": list(trial.features),
        "training_rows": {"candidates": trial.training_rows[0], "champion": trial.training_rows[1]},
        "failed": dict(trial.failed),
        "checks": list(trial.checks),
        "changed_pairs": None if trial.changed is None else list(trial.changed),
        "seconds": dict(trial.seconds),
        "bytes_billed": trial.usage.bytes_billed,
        "slot_ms": trial.usage.slot_ms,
        "jobs": len(trial.usage.job_ids),
        "sql_changes": trial.sql_changes,
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain


def metric_rows(trial: Trial) -> Iterator[dict[str, Any]]:
    """One row per metric that champion and best candidate both have; those in which more is better first."""
    evidence, best = trial.evidence, trial.judgement.candidate
    mine = next(candidate for candidate in evidence.candidates if candidate.name == best).metrics
    theirs = evidence.champion.metrics if evidence.champion else {}
    gains = {row.metric: gains_of(row) for row in evidence.comparisons if row.candidate == best}
    for metric in [*sorted(HIGHER_IS_BETTER), *sorted(LOWER_IS_BETTER)]:
        if mine.get(metric) is not None and theirs.get(metric) is not None:
            lower, gain, upper = sorted(gains.get(metric) or []) or (None, None, None)
            yield {
                "metric": metric,
                "champion": theirs[metric],
                "candidate": mine[metric],
                "gain": gain,
                "lower": lower,
                "upper": upper,
            }


def slice_rows(trial: Trial) -> list[dict[str, Any]]:
    """One row per slice and value: the slice metric of champion and best candidate, the largest parts first."""
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for found in trial.evidence.slices:
        if found.name in {CHAMPION, trial.judgement.candidate}:
            row = rows.setdefault(
                (found.slice, found.value),
                {"slice": found.slice, "value": found.value, "rows": found.row_count, "positives": found.positives},
            )
            row["champion" if found.name == CHAMPION else "candidate"] = found.metrics.get(trial.slice_metric)
    return sorted(rows.values(), key=lambda row: (-row["rows"], row["slice"], str(row["value"])))[:_SLICES]


def notes(trial: Trial) -> Iterator[str]:
    """What a reader has to know to take the answer for what it is."""
    now, then = trial.training_rows
    if then is None:
        yield "the champion's training table is gone, so it cannot be said which features came and on how many rows it was trained"
    elif now != then:
        yield (
            f"the candidates were trained on {now:,} rows and the champion on {then:,}: a part of the difference is the "
            "data's and not the change's"
        )
    if not trial.sql_changes:
        yield "the SQL is that of the champion's run, so there is nothing in it to be better or worse by"
    for name, why in trial.failed.items():
        yield f"{name} could not be trained: {why}"
    for check in trial.checks:
        yield f"the check {check['check']} ({check['severity']}) finds {check['rows']} rows of the incoming data"


def cost_line(trial: Trial) -> str:
    """What the try cost, in one sentence."""
    usage = trial.usage
    return (
        f"{len(usage.job_ids)} jobs, {usage.bytes_billed:,} bytes billed (about {price(usage.bytes_billed)}, what "
        f"CREATE MODEL costs beyond that left out), {usage.slot_ms / 1000:,.1f} slot seconds, "
        f"{sum(trial.seconds.values()):.0f} seconds in all"
    )


def number(value: Any, signed: bool = False) -> str:
    """A number as people read it; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def pair_counts(trial: Trial) -> tuple[int, int]:
    """How many pairs the best candidate gets right that the champion gets wrong, and the other way round."""
    changed = trial.changed or ()
    right = next((int(row["of_kind"]) for row in changed if row["is_right_now"]), 0)
    wrong = next((int(row["of_kind"]) for row in changed if not row["is_right_now"]), 0)
    return right, wrong


def _rendered(template: str, trial: Trial, *, escape: bool, **more: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=escape,  # noqa: S701 -- Markdown is no HTML; texts from outside stand in it as code
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        trial=trial,
        judgement=trial.judgement,
        metrics=list(metric_rows(trial)),
        slices=slice_rows(trial),
        pairs=pair_counts(trial),
        notes=list(notes(trial)),
        cost=cost_line(trial),
        number=number,
        **more,
    )


def trial_markdown(trial: Trial) -> str:
    """The try as Markdown, for a comment on a pull request."""
    return _rendered("trial.md", trial, escape=False, code=_code)


def _code(text: Any) -> str:
    """A text from outside as inline code in a table: no markup of its own, no mention of anybody."""
    return "`" + " ".join(str(text).replace("`", "'").split()).replace("|", "\\|") + "`" if text else ""


def trial_page(trial: Trial) -> str:
    """The try as one self-contained page: no script, nothing fetched."""
    style = (Path(review.__file__).parent / "page.css").read_text(encoding="utf-8")
    bounds = [
        (row["metric"], row["gain"], row["lower"], row["upper"])
        for row in metric_rows(trial)
        if row["gain"] is not None
    ]
    chart = interval_chart(f"{trial.judgement.candidate} against the champion", bounds) if bounds else ""
    return _rendered(
        "trial.html",
        trial,
        escape=True,
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        chart=Markup(chart),  # noqa: S704 -- plots escape the texts that they are given
        mark={"better": "promote", "worse": "reject", "cannot tell": "hold"}[trial.judgement.answer],
    )
