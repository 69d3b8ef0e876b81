"""The review as one self-contained page: no script, no asset, nothing fetched; light, dark and print by its own style."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from deployment.evidence import HIGHER_IS_BETTER, LOWER_IS_BETTER, improvement
from deployment.review.gather import CHAMPION, Review
from deployment.review.plots import histogram, interval_chart, line_chart

_HERE = Path(__file__).parent
_BINS = 20
# A slice whose metric differs by less than this is not coloured (of an error: by less than this share of it); the gate's own
# tolerance stands among the reasons.
_NOTABLE = 0.02


def review_page(review: Review) -> str:
    """The page's HTML."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        review=review,
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        metrics=shown_metrics(review),
        differences=_differences(review),
        plots=_plots(review),
        slices=slice_rows(review),
        counted=any(row.get("positives") is not None for row in review.slices),
        number=number,
    )


def number(value: Any) -> str:
    """A number as people read it; a dash where it is undefined."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}"


def shown_metrics(review: Review) -> list[str]:
    """The metrics that any model of the review has, those where more is better first."""
    there = {key for row in review.metrics for key, value in row.items() if value is not None}
    counts = [name for name in ("row_count", "positives", "threshold") if name in there]
    return [*counts, *sorted(HIGHER_IS_BETTER & there), *sorted(LOWER_IS_BETTER & there)]


def slice_rows(review: Review, most: int = 40) -> list[dict[str, Any]]:
    """One row per slice and value: its metric by model, and whether a candidate's is notably better or worse.

    Of a slice with more values than `most` those with the most rows.
    """
    rows: dict[tuple[str, str | None], dict[str, Any]] = {}
    for found in review.slices:
        row = rows.setdefault(
            (found["slice"], found["value"]),
            {key: found.get(key) for key in ("slice", "value", "row_count", "positives")} | {"metric": {}},
        )
        value = found.get(review.slice_metric)
        row["metric"][found["name"]] = None if value is None else float(value)
    for row in rows.values():
        usual = row["metric"].get(CHAMPION)
        row["marks"] = {name: _mark(review.slice_metric, row["metric"].get(name), usual) for name in review.names}
    ordered = sorted(rows.values(), key=lambda row: (row["slice"], -row["row_count"], str(row["value"])))
    return [row for _, same in groupby(ordered, key=lambda row: row["slice"]) for row in islice(same, most)]


def _mark(metric: str, value: float | None, usual: float | None) -> str:
    if value is None or usual is None:
        return ""
    least = _NOTABLE * (abs(usual) if metric in LOWER_IS_BETTER else 1)
    if abs(value - usual) < least:
        return ""
    return "better" if improvement(metric, value - usual) > 0 else "worse"


def _differences(review: Review) -> list[tuple[str, Markup]]:
    charts = []
    for name in review.names:
        rows = [
            (row["metric"], *_improved(row))
            for row in review.comparison
            if row["candidate"] == name and row["lower"] is not None and row["difference"] is not None
        ]
        if rows:
            charts.append((name, _markup(interval_chart(f"{name} against the champion", rows))))
    return charts


def _improved(row: Any) -> tuple[float, float, float]:
    """Difference and bounds, turned so that more is better."""
    metric = row["metric"]
    ends = sorted(improvement(metric, float(row[end])) for end in ("lower", "upper"))
    return improvement(metric, float(row["difference"])), ends[0], ends[1]


def _plots(review: Review) -> list[tuple[str, Markup]]:
    if not review.curves:
        return []
    points = {name: [row for row in review.curves if row["name"] == name] for name in review.names}
    thresholds = {name: review.metric(name, "threshold") for name in review.names}
    chosen = {name: _at_threshold(points[name], thresholds[name]) for name in review.names}
    bins = {name: _bins_of(review, name) for name in review.names}
    return [
        (
            "Precision and recall; the dot is the threshold",
            _markup(
                line_chart(
                    "Precision-recall curve",
                    "recall",
                    "precision",
                    {n: [(r["recall"] or 0.0, r["precision"]) for r in rows] for n, rows in points.items()},
                    marks={n: (r["recall"] or 0.0, r["precision"]) for n, r in chosen.items() if r},
                )
            ),
        ),
        (
            "ROC",
            _markup(
                line_chart(
                    "ROC curve",
                    "false positive rate",
                    "recall",
                    {
                        n: [(0.0, 0.0), *((r["false_positive_rate"] or 0.0, r["recall"] or 0.0) for r in rows)]
                        for n, rows in points.items()
                    },
                    diagonal=True,
                )
            ),
        ),
        (
            "Reliability: does 0.8 mean 80 %?",
            _markup(
                line_chart(
                    "Reliability",
                    "mean probability",
                    "share of positives",
                    {n: [(r["mean_probability"], r["positive_rate"]) for r in rows] for n, rows in bins.items()},
                    diagonal=True,
                    dots=True,
                )
            ),
        ),
        (
            "Scores",
            _markup(histogram("Distribution of the scores", [_shares(rows) for rows in bins.values()], list(bins))),
        ),
    ]


def _at_threshold(points: Sequence[Any], threshold: float | None) -> Any:
    """The point of the curve that is nearest to the threshold."""
    if threshold is None or not points:
        return None
    return min(points, key=lambda row: abs(float(row["threshold"]) - threshold))


def _bins_of(review: Review, name: str) -> list[Any]:
    mine = [row for row in review.bins if row["name"] == name and row["split"] == "validation"]
    return sorted(mine, key=lambda row: int(row["bin"]))


def _shares(rows: Sequence[Any]) -> list[float]:
    total = sum(int(row["row_count"]) for row in rows) or 1
    counts = {int(row["bin"]): int(row["row_count"]) for row in rows}
    return [counts.get(place, 0) / total for place in range(_BINS)]


def _markup(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 -- plots escape the texts that they are given
