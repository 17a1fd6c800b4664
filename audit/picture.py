"""The pictures of the report as hand-written SVG: the same numbers give the same bytes.

Colours come from the page's CSS variables, so that dark mode and print follow; shapes differ as well as
colours (circle before, diamond after, square twin). Drawn 440 units wide to stay legible on a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from audit.schema import Group, Rate
from audit.statistics import percent
from audit.wording import PHASE_WORDS

WIDTH, LEFT, RIGHT, CURVE_LEFT = 440, 14, 426, 54
MARKS = {"before": "circle", "after": "diamond", "twin": "square"}


class Row(NamedTuple):
    """One line of the interval picture."""

    phase: str
    label: str
    value: str
    rate: Rate


def _x(share: float) -> str:
    return f"{LEFT + share * (RIGHT - LEFT):.1f}"


def mark(phase: str, x: str, y: float, size: float = 6.0) -> str:
    """The symbol of a phase, centred at x, y."""
    shape, css = MARKS[phase], f'class="mark {phase}"'
    if shape == "circle":
        return f'<circle {css} cx="{x}" cy="{y:.1f}" r="{size:.1f}"/>'
    middle = float(x)
    if shape == "square":
        side = f'width="{2 * size:.1f}" height="{2 * size:.1f}"'
        return f'<rect {css} x="{middle - size:.1f}" y="{y - size:.1f}" {side}/>'
    reach = size * 1.35
    corners = ((middle, y - reach), (middle + reach, y), (middle, y + reach), (middle - reach, y))
    points = " ".join(f"{corner_x:.1f},{corner_y:.1f}" for corner_x, corner_y in corners)
    return f'<polygon {css} points="{points}"/>'


def rows_of(group: Group) -> list[Row]:
    """The phases of a group with the rate of the unit that its verdict is about."""
    rows = []
    for phase, figures in group.figures.items():
        rate = figures.by_fact if group.verdict.unit == "facts" else figures.by_attempt
        value = f"{rate.leaked} of {rate.total} {group.verdict.unit}"
        rows.append(Row(phase, PHASE_WORDS[phase], value, rate))
    return rows


def _axis(top: float, bottom: float) -> str:
    parts = []
    for step in range(5):
        x = _x(step / 4)
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        parts.append(f'<line class="grid" x1="{x}" y1="{top:.1f}" x2="{x}" y2="{bottom:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{x}" y="{bottom + 16:.1f}" text-anchor="{anchor}">{25 * step} %</text>'
        )
    return "".join(parts)


def _row(row: Row, y: float) -> str:
    line = y + 18
    return (
        f'<text class="label" x="{LEFT}" y="{y:.1f}">{escape(row.label)}</text>'
        f'<text class="value" x="{RIGHT}" y="{y:.1f}" text-anchor="end">{escape(row.value)}</text>'
        f'<line class="track" x1="{_x(0)}" y1="{line:.1f}" x2="{_x(1)}" y2="{line:.1f}"/>'
        f'<line class="span {row.phase}" x1="{_x(row.rate.lower)}" y1="{line:.1f}" '
        f'x2="{_x(row.rate.upper)}" y2="{line:.1f}"/>'
        f"{mark(row.phase, _x(row.rate.rate), line)}"
    )


def _describe(rows: Sequence[Row]) -> str:
    return " ".join(
        f"{row.label}: {row.value} leaked, {percent(row.rate.rate)}, between {percent(row.rate.lower)} and "
        f"{percent(row.rate.upper)}."
        for row in rows
    )


def _svg(key: str, height: float, title: str, description: str, body: str) -> str:
    return (
        f'<svg role="img" aria-labelledby="{key}-t {key}-d" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{key}-t">{escape(title)}</title>'
        f'<desc id="{key}-d">{escape(description)}</desc>{body}</svg>'
    )


def intervals(key: str, title: str, rows: Sequence[Row], threshold: float) -> str:
    """Leak rates with their bounds, one row a phase, and the policy's threshold as a dashed line."""
    first, step = 44, 50
    bottom = first + step * len(rows) - 14
    limit = _x(threshold)
    body = (
        _axis(26, bottom)
        + f'<line class="limit" x1="{limit}" y1="20" x2="{limit}" y2="{bottom}"/>'
        + f'<text class="tick" x="{limit}" y="14" text-anchor="{"start" if threshold < 0.3 else "middle"}">'
        + f"allowed: {percent(threshold)}</text>"
        + "".join(_row(row, first + step * index) for index, row in enumerate(rows))
    )
    return _svg(key, bottom + 24, title, _describe(rows), body)


def _points(curve: Sequence[float], top: float, bottom: float, longest: int) -> list[tuple[str, float]]:
    left, right = CURVE_LEFT, RIGHT
    width = (right - left) / max(1, longest - 1)
    return [
        (f"{left + width * index:.1f}", bottom - share * (bottom - top)) for index, share in enumerate(curve)
    ]


def _curve(phase: str, points: Sequence[tuple[str, float]]) -> str:
    path = " ".join(f"{x},{y:.1f}" for x, y in points)
    last = f"{mark(phase, *points[-1], size=5.0)}"
    return f'<polyline class="curve {phase}" points="{path}"/>{last}'


def leak_at_k(key: str, title: str, curves: Mapping[str, Sequence[float]]) -> str:
    """How the chance of at least one leak grows with the number of samples; one curve a phase."""
    present = {phase: curve for phase, curve in curves.items() if len(curve) > 1}
    if not present:
        return ""
    top, bottom = 34.0, 190.0
    longest = max(len(curve) for curve in present.values())
    grid = "".join(
        f'<line class="grid" x1="{CURVE_LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{CURVE_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>'
        for share, y in ((share, bottom - share / 100 * (bottom - top)) for share in (0, 50, 100))
    )
    ticks = "".join(
        f'<text class="tick" x="{x}" y="{bottom + 18:.1f}" text-anchor="middle">{index + 1}</text>'
        for index, (x, _) in enumerate(_points([0.0] * longest, top, bottom, longest))
        if index in (0, longest - 1) or (index + 1) % 5 == 0
    )
    order = [
        phase for phase in ("before", "twin", "after") if phase in present
    ]  # the after curve lies on top
    drawn = "".join(_curve(phase, _points(present[phase], top, bottom, longest)) for phase in order)
    legend, x = "", CURVE_LEFT
    for phase in present:
        word = {"before": "before", "after": "after", "twin": "never-written twin"}[phase]
        legend += f'{mark(phase, f"{x + 6}", 12.0, 5.0)}<text class="label" x="{x + 18}" y="17">{word}</text>'
        x += 92
    axis = (
        f'<text class="tick" x="{RIGHT}" y="{bottom + 36:.1f}" text-anchor="end">samples per fact (k)</text>'
    )
    said = " ".join(
        f"{PHASE_WORDS[phase]}: {percent(curve[0])} after 1 sample, {percent(curve[-1])} after {len(curve)}."
        for phase, curve in present.items()
    )
    return _svg(key, bottom + 44, title, said, grid + ticks + axis + drawn + legend)
