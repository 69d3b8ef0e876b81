"""Plots as inline SVG: no script, no asset, no style attribute, so that a strict content security policy lets them pass.

Colours come from the page's classes `s0`, `s1` … (one a model), so that light, dark and print are the page's matter; the
models differ in their dashes too, for readers who do not tell the colours apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Point = tuple[float, float]
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 340, 260, 52, 40, 12, 12


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[Point]],
    *,
    marks: Mapping[str, Point] | None = None,
    diagonal: bool = False,
    dots: bool = False,
) -> str:
    """Lines over the unit square.

    Args:
        title: What it shows, for screen readers.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        series: Points by model, both coordinates 0 to 1.
        marks: A point to single out by model.
        diagonal: Whether to draw the line of equality.
        dots: Whether to mark every point.
    """
    parts = [_frame(x_label, y_label)]
    if diagonal:
        parts.append(_path([(0, 0), (1, 1)], "guide"))
    for index, (name, points) in enumerate(series.items()):
        parts.append(f"<g class='s{index}'><title>{escape(name)}</title>{_path(points, 'line')}")
        if dots:
            parts += [_dot(point, 3) for point in points]
        if marks and name in marks:
            parts.append(_dot(marks[name], 5))
        parts.append("</g>")
    return _svg(title, parts)


def histogram(title: str, shares: Sequence[Sequence[float]], labels: Sequence[str]) -> str:
    """Overlaid bars of shares over equal bins of 0 to 1, on a scale of square roots, so that rare bins can be seen.

    Args:
        title: What it shows, for screen readers.
        shares: A share of rows per bin for each series.
        labels: Names of the series.
    """
    highest = max((share for bins in shares for share in bins), default=0.0) or 1.0
    parts = [_frame("probability", "share of rows (square root)", y_top=highest, root=True)]
    for index, (name, bins) in enumerate(zip(labels, shares, strict=True)):
        width = 1 / max(len(bins), 1)
        steps: list[Point] = [(0.0, 0.0)]
        for place, share in enumerate(bins):
            height = math.sqrt(share / highest)
            steps += [(place * width, height), ((place + 1) * width, height)]
        steps.append((1.0, 0.0))
        parts.append(f"<g class='s{index}'><title>{escape(name)}</title>{_path(steps, 'area')}</g>")
    return _svg(title, parts)


def interval_chart(title: str, rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Differences with their bounds around a line at zero, one row each: label, difference, lower, upper."""
    height = 30 * len(rows) + 44
    reach = max((abs(value) for _, *values in rows for value in values), default=0.0) or 1.0
    left, right = 190, _WIDTH * 2 - 20

    def across(value: float) -> float:
        return left + (value / reach + 1) / 2 * (right - left)

    parts = [
        f"<line class='guide' x1='{across(0):.1f}' x2='{across(0):.1f}' y1='8' y2='{height - 34}'/>",
        f"<text x='{across(-reach):.1f}' y='{height - 14}'>{-reach:+.3f}</text>",
        f"<text x='{across(0):.1f}' y='{height - 14}' class='middle'>0</text>",
        f"<text x='{across(reach):.1f}' y='{height - 14}' class='end'>{reach:+.3f}</text>",
    ]
    for index, (label, difference, lower, upper) in enumerate(rows):
        y = 24 + 30 * index
        parts.append(
            f"<text x='{left - 10}' y='{y + 4}' class='end'>{escape(label)}</text>"
            f"<line class='bar' x1='{across(lower):.1f}' x2='{across(upper):.1f}' y1='{y}' y2='{y}'/>"
            f"<circle class='value' cx='{across(difference):.1f}' cy='{y}' r='5'><title>{difference:+.4f} "
            f"({lower:+.4f} to {upper:+.4f})</title></circle>"
        )
    return _svg(title, parts, width=_WIDTH * 2, height=height)


def _svg(title: str, parts: Sequence[str], *, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    label = escape(title, quote=True)
    return f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{label}'>{''.join(parts)}</svg>"


def _x(value: float) -> float:
    return _LEFT + value * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float) -> float:
    return _HEIGHT - _BOTTOM - value * (_HEIGHT - _BOTTOM - _TOP)


def _path(points: Sequence[Point], kind: str) -> str:
    if not points:
        return ""
    drawn = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    return f"<polyline class='{kind}' points='{drawn}'/>"


def _dot(point: Point, radius: int) -> str:
    x, y = point
    return (
        f"<circle class='dot' cx='{_x(x):.1f}' cy='{_y(y):.1f}' r='{radius}'><title>{x:.3f}, {y:.3f}</title></circle>"
    )


def _frame(x_label: str, y_label: str, *, y_top: float = 1.0, root: bool = False) -> str:
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        told = f"{tick * tick * y_top:.2%}" if root else f"{tick * y_top:g}"
        parts.append(
            f"<line class='grid' x1='{_x(0):.1f}' x2='{_x(1):.1f}' y1='{_y(tick):.1f}' y2='{_y(tick):.1f}'/>"
            f"<text x='{_x(0) - 6:.1f}' y='{_y(tick) + 4:.1f}' class='end'>{told}</text>"
            f"<text x='{_x(tick):.1f}' y='{_y(0) + 16:.1f}' class='middle'>{tick:g}</text>"
        )
    parts.append(f"<text x='{_x(0.5):.1f}' y='{_HEIGHT - 6}' class='middle axis'>{escape(x_label)}</text>")
    parts.append(
        f"<text transform='translate(11 {_y(0.5):.1f}) rotate(-90)' class='middle axis'>{escape(y_label)}</text>"
    )
    return "".join(parts)
