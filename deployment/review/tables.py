"""The review as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from deployment.evidence import improvement
from deployment.review.gather import CHAMPION, Review
from deployment.review.page import number, shown_metrics, slice_rows

_VERDICTS = {"PROMOTE": "bold green", "HOLD": "bold yellow", "REJECT": "bold red"}
# Values of a slice that are shown, those with the most rows; the page has more.
_VALUES = 6
_MARKS = {"better": "green", "worse": "red", "": ""}


def review_tables(review: Review) -> Iterator[RenderableType]:
    """What to print, in order: verdict, metrics, differences, slices, features, cost."""
    yield Text(f"{review.run_id}, data as of {review.as_of}, {review.state}")
    verdict = str(review.decision.get("verdict", "not decided yet"))
    yield Text(verdict, style=_VERDICTS.get(verdict, ""))
    for reason in review.decision.get("reasons", ()):
        yield Text(f"  {reason}")
    yield _metrics(review)
    if review.comparison:
        yield _differences(review)
    if review.slices:
        yield _slices(review)
    for name, rows in review.importance.items():
        if rows:
            strongest = ", ".join(f"{row['feature']} {number(row['importance'])}" for row in rows[:5])
            yield Text(f"{name} rests on {strongest}")
    billed = sum(row["bytes_billed"] or 0 for row in review.cost)
    slots = sum(row["slot_ms"] or 0 for row in review.cost) / 1000
    yield Text(f"It cost {billed:,} bytes billed and {slots:,.1f} slot seconds.")
    changed = sum(line.startswith(("+", "-")) for line in review.sql_changes.splitlines())
    yield Text(f"SQL lines changed since the champion: {changed}. The page has them: bqloop review --html FILE")


def _metrics(review: Review) -> Table:
    table = Table(
        "metric", *review.names, title="Validation rows, with intervals; test in brackets", title_justify="left"
    )
    for metric in shown_metrics(review):
        cells = []
        for name in review.names:
            interval = review.interval(name, metric)
            told = number(review.metric(name, metric))
            if interval:
                told += f" ({number(interval[0])} to {number(interval[1])})"
            test = review.metric(name, metric, "test")
            cells.append(Text(told + (f" [{number(test)}]" if test is not None else "")))
        table.add_row(metric, *cells)
    return table


def _differences(review: Review) -> Table:
    table = Table(
        "candidate", "metric", "better by", "surely", "at most", title="Against the champion", title_justify="left"
    )
    for row in review.comparison:
        if row["lower"] is None or row["difference"] is None:
            continue
        metric = str(row["metric"])
        ends = sorted(improvement(metric, float(row[end])) for end in ("lower", "upper"))
        better = improvement(metric, float(row["difference"]))
        table.add_row(str(row["candidate"]), metric, f"{better:+.4f}", f"{ends[0]:+.4f}", f"{ends[1]:+.4f}")
    return table


def _slices(review: Review) -> Table:
    title = f"{review.slice_metric} by slice"
    counted = any(row.get("positives") is not None for row in review.slices)
    table = Table("slice", "value", "rows", *(["positives"] if counted else []), *review.names)
    table.title, table.title_justify = title, "left"
    for row in slice_rows(review, _VALUES):
        figures = [Text(number(row["metric"].get(name)), style=_MARKS[row["marks"][name]]) for name in review.names]
        value = "NULL" if row["value"] is None else row["value"]
        positives = [str(row["positives"])] if counted else []
        table.add_row(row["slice"], Text(value), str(row["row_count"]), *positives, *figures)
    if CHAMPION in review.names:
        table.caption = "green and red: notably better and worse than the champion"
    return table
