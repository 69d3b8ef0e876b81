"""The command `try`: would the working tree's SQL make a better model than the one that serves?"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.table import Table
from rich.text import Text

from deployment.cli.session import OPTIONS, application, model_of, print_json
from deployment.stages.evaluate import CHAMPION
from deployment.workbench.trial import Trial, try_change
from deployment.workbench.trial_answer import Answer
from deployment.workbench.trial_report import (
    cost_line,
    metric_rows,
    notes,
    number,
    pair_counts,
    slice_rows,
    trial_data,
    trial_markdown,
    trial_page,
)

_STYLES = {Answer.BETTER: "bold green", Answer.WORSE: "bold red", Answer.UNKNOWN: "bold yellow"}
_EXAMPLES = 3


class _Progress:
    """A line for each part of the try with how long it took, and the step that runs now."""

    def __init__(self) -> None:
        self._line = OPTIONS.errors.status("Trying")
        self._part, self._began = "", time.monotonic()

    def __enter__(self) -> Self:
        self._line.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._end()
        self._line.stop()

    def begin(self, part: str) -> None:
        self._end()
        self._part, self._began = part, time.monotonic()
        self._line.update(part)

    def tell(self, step: str) -> None:
        self._line.update(f"{self._part}: {step}")

    def _end(self) -> None:
        if self._part:
            OPTIONS.errors.print(f"  {self._part:<34} {time.monotonic() - self._began:5.1f} s", highlight=False)


def try_sql(
    against: Annotated[str, typer.Option(help="Number or alias of the version to compare with.")] = CHAMPION,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write Markdown for a pull request to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Build the working tree's features in a scratch dataset, train the candidates, and compare them with the champion.

    Says better, worse, or cannot tell. Nothing in the real datasets or in the registry is touched.

    Example: bqloop try --against champion --markdown try.md
    """
    with application() as app, _Progress() as progress:
        trial = try_change(app, model_of(app.settings), against, begin=progress.begin, tell=progress.tell)
    for path, text in ((html, trial_page), (markdown, trial_markdown)):
        if path is not None:
            path.write_text(text(trial), encoding="utf-8")
            OPTIONS.errors.print(f"Wrote {path}", highlight=False)
    if as_json:
        print_json(trial_data(trial))
    else:
        _show(trial)


def _show(trial: Trial) -> None:
    out, judgement = OPTIONS.console, trial.judgement
    out.print(Text(judgement.answer.value, style=_STYLES[judgement.answer]))
    out.print(Text(f"  {judgement.reason}"))
    if trial.features:
        out.print(Text(f"  features: {', '.join(trial.features)}"))
    for note in notes(trial):
        out.print(Text(f"  note: {note}"))
    rows = trial.evidence.champion.row_count if trial.evidence.champion else 0
    title = f"On the same {rows} validation rows, against version {trial.champion.version}"
    table = Table("metric", "champion", judgement.candidate, "better by", "surely", "at most", title=title)
    for row in metric_rows(trial):
        ends = [number(row[end], True) for end in ("gain", "lower", "upper")]
        table.add_row(row["metric"], number(row["champion"]), number(row["candidate"]), *ends)
    out.print(table)
    if trial.evidence.slices:
        table = Table("slice", "value", "rows", "positives", "champion", judgement.candidate, title=trial.slice_metric)
        for row in slice_rows(trial):
            value = Text("NULL" if row["value"] is None else row["value"])
            ends = [number(row.get(name)) for name in ("positives", "champion", "candidate")]
            table.add_row(row["slice"], value, number(row["rows"]), *ends)
        out.print(table)
    _show_pairs(trial)
    out.print(Text(f"The gate would say {trial.decision.verdict.value}: {'; '.join(trial.decision.reasons)}"))
    out.print(Text(f"It cost {cost_line(trial)}."))


def _show_pairs(trial: Trial) -> None:
    if trial.changed is None:
        return
    right, wrong = pair_counts(trial)
    OPTIONS.console.print(Text(f"Changed sides: {right} pairs are right now, {wrong} are wrong now."))
    for kind, word in ((True, "right now"), (False, "wrong now")):
        for row in [row for row in trial.changed if row["is_right_now"] is kind][:_EXAMPLES]:
            known = "duplicates" if row["is_positive"] else "not duplicates"
            moved = f"{row['champion_probability']:.3f} -> {row['candidate_probability']:.3f}"
            OPTIONS.console.print(Text(f"  {word}, {known}, {moved}"))
            OPTIONS.console.print(Text(f"    {row['left_title']}\n    {row['right_title']}"))
