"""The findings as one self-contained page: no script, no asset, nothing fetched; in the review's own style."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from deployment.monitoring.findings import Finding
from deployment.review.page import number
from deployment.review.plots import Point, line_chart

_HERE = Path(__file__).parent
_STYLE = _HERE.parent / "review" / "page.css"


def monitoring_page(model: str, findings: Sequence[Finding]) -> str:
    """The page's HTML.

    Args:
        model: The model.
        findings: What was found, oldest first; at least one.
    """
    style = _STYLE.read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        model=model,
        findings=findings,
        latest=findings[-1],
        plots=[(caption, Markup(plot)) for caption, plot in _plots(findings)],  # noqa: S704 -- plots escape what they show
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        number=number,
    )


def _plots(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    first, last = findings[0].as_of, findings[-1].as_of
    span = (last - first).total_seconds() or 1.0

    def over_time(values: Sequence[float | None]) -> list[Point]:
        return [
            ((finding.as_of - first).total_seconds() / span, value)
            for finding, value in zip(findings, values, strict=True)
            if value is not None
        ]

    days = f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    precision = [finding.live_precision for finding in findings]
    bounds = {
        name: over_time([None if one is None else one[place] for one in precision])
        for place, name in ((1, "lower"), (0, "live precision"), (2, "upper"))
    }
    shift = over_time([finding.score_shift for finding in findings])
    drift = over_time([max((row["value"] for row in f.drift), default=None) for f in findings])
    return [
        (
            "Live precision, with its interval at 95 %",
            line_chart("Live precision over time", days, "precision", bounds, dots=True),
        ),
        (
            "Score shift, and the feature that drifted furthest",
            line_chart(
                "Shift and drift over time", days, "distance", {"score shift": shift, "drift": drift}, dots=True
            ),
        ),
    ]
