"""The power curves of the gate as one SVG file for the docs: no script, no font, legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

Curve = Sequence[tuple[float, float]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 360, 60, 150, 16, 48
_STYLE = """
text { font: 13px sans-serif; fill: #333 } .end { text-anchor: end } .middle { text-anchor: middle }
.grid { stroke: #ccc } .stated { stroke: #b00; stroke-dasharray: 2 4 } polyline { fill: none; stroke-width: 2 }
.c0 { stroke: #1b6ca8; fill: #1b6ca8 } .c1 { stroke: #b35900; fill: #b35900 } .c2 { stroke: #2e7d32; fill: #2e7d32 }
polyline.c1 { stroke-dasharray: 8 3; fill: none } polyline.c2 { stroke-dasharray: 3 3; fill: none } polyline.c0 { fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .grid { stroke: #555 } .stated { stroke: #f77 }
  .c0 { stroke: #6cb6ff; fill: #6cb6ff } .c1 { stroke: #ffa657; fill: #ffa657 } .c2 { stroke: #7ee787; fill: #7ee787 }
}
"""


def power_curves_svg(curves: Mapping[str, Curve], *, error: float, trials: int) -> str:
    """Share of challengers promoted over their gain, a line each.

    Args:
        curves: By name, points of gain in the primary metric and share promoted, 0 to 1.
        error: The stated error rate, drawn across.
        trials: How many trials a point stands for.
    """
    farthest = max(gain for curve in curves.values() for gain, _ in curve) * 1.02

    def x(gain: float) -> float:
        return round(_LEFT + max(gain, 0.0) / farthest * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(share: float) -> float:
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)

    parts = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(share)}" y2="{y(share)}"/>')
        parts.append(f'<text class="end" x="{_LEFT - 8}" y="{y(share) + 4:.1f}">{share:.0%}</text>')
    for hundredths in range(0, int(farthest * 100) + 1, 2):
        gain = hundredths / 100
        parts.append(f'<text class="middle" x="{x(gain)}" y="{y(0) + 18:.1f}">{gain:.2f}</text>')
    parts.append(f'<line class="stated" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(error)}" y2="{y(error)}"/>')
    parts.append(f'<text x="{_WIDTH - _RIGHT + 8}" y="{y(error) + 4:.1f}">stated error {error:.0%}</text>')
    for place, (name, curve) in enumerate(curves.items()):
        points = sorted(curve)
        drawn = " ".join(f"{x(gain)},{y(share)}" for gain, share in points)
        parts.append(f'<polyline class="c{place % 3}" points="{drawn}"/>')
        parts += [
            f'<circle class="c{place % 3}" cx="{x(gain)}" cy="{y(share)}" r="3"><title>{gain:+.3f}: {share:.1%}</title></circle>'
            for gain, share in points
        ]
        gain, share = points[-1]
        parts.append(f'<text x="{x(gain) + 10:.1f}" y="{y(share) + 4:.1f}">{escape(name)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    axis = f"mean gain in average precision ({trials} trials a point)"
    parts.append(f'<text class="middle" x="{middle}" y="{_HEIGHT - 8}">{axis}</text>')
    parts.append(f'<text class="middle" transform="translate(14 {y(0.5)}) rotate(-90)">promoted</text>')
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    title = "How often the gate promotes a challenger, by its mean gain"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )
