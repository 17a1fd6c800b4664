"""The pictures of the report, drawn by matplotlib: leak rates with their bounds, leak@k, the trend over re-checks.

Shapes differ as well as colours (circle before, diamond after, square twin). Drawn 440 px wide to stay legible on a
phone. Each has a description in words for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from audit.schema import Group, Rate, TrendPoint
from audit.statistics import percent
from audit.svg import COLOURS, LABEL, TICK, picture
from audit.wording import PHASE_WORDS, day

WIDTH = 440
BAR = 0.72
"""where the bar lies in a row of height 1, its name above it"""
MARKS = {"before": "o", "after": "D", "twin": "s"}
ORDER = ("before", "twin", "after")
"""of drawing curves: the one after the removal lies on top"""


NICE = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""where the scale of the trend may end"""


class Row(NamedTuple):
    """One line of the interval picture."""

    phase: str
    label: str
    value: str
    rate: Rate


def rows_of(group: Group) -> list[Row]:
    """The phases of a group with the rate of the unit that its verdict is about."""
    rows = []
    for phase, figures in group.figures.items():
        rate = figures.by(group.verdict.unit)
        value = f"{rate.leaked} of {rate.total} {group.verdict.unit}"
        rows.append(Row(phase, PHASE_WORDS[phase], value, rate))
    return rows


def intervals(key: str, title: str, rows: Sequence[Row], threshold: float | None) -> str:
    """Leak rates with their bounds, one row a phase; the policy's threshold, if there is one, as a line."""
    height = 50 + 50 * len(rows)

    def draw(figure: Figure) -> None:
        axes = _axes(figure, (14, 26, WIDTH - 14, height - 22), (WIDTH, height))
        axes.set(xlim=(0, 1), ylim=(len(rows), 0), yticks=[])
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        _keep_inside(axes)
        axes.grid(axis="x", color=COLOURS["line"], linewidth=1)
        if threshold is not None:
            _limit(axes, threshold, len(rows))
        for index, row in enumerate(rows):
            _interval(axes, row, index + BAR)

    return picture(key, title, _describe(rows), (WIDTH, height), draw)


def _limit(axes: Axes, threshold: float, rows: int) -> None:
    """A line through the bars, one dash each, with gaps where the rows' names stand."""
    tops = [0, *(index + BAR - 0.18 for index in range(rows))]
    ends = [0.14, *(index + BAR + 0.28 for index in range(rows))]
    axes.vlines(
        [threshold] * len(tops), tops, ends, color=COLOURS["ink"], linewidth=1.2, clip_on=False, zorder=4
    )
    side = "left" if threshold < 0.3 else "center"
    word = f"allowed: {percent(threshold)}"
    axes.annotate(word, (threshold, 0), (0, 5), textcoords="offset points", ha=side, size=TICK)


def _interval(axes: Axes, row: Row, y: float) -> None:
    axes.hlines(y, 0, 1, color=COLOURS["faint"], linewidth=7, clip_on=False, zorder=2)
    lower, upper = row.rate.lower, row.rate.upper
    axes.hlines(y, lower, upper, color=COLOURS[row.phase], alpha=0.5, linewidth=7, clip_on=False, zorder=3)
    _mark(axes, row.phase, row.rate.rate, y)
    axes.text(0, y - 0.26, row.label, size=LABEL, weight="bold")
    axes.text(1, y - 0.26, row.value, size=LABEL, ha="right")


def _describe(rows: Sequence[Row]) -> str:
    return " ".join(
        f"{row.label}: {row.value} leaked, {percent(row.rate.rate)}, between {percent(row.rate.lower)} and "
        f"{percent(row.rate.upper)}."
        for row in rows
    )


def leak_at_k(key: str, title: str, curves: Mapping[str, Sequence[float]]) -> str:
    """How the chance of at least one leak grows with the number of samples; one curve a phase."""
    present = {phase: curve for phase, curve in curves.items() if len(curve) > 1}
    if not present:
        return ""
    longest = max(len(curve) for curve in present.values())

    def draw(figure: Figure) -> None:
        axes = _axes(figure, (54, 34, WIDTH - 14, 190), (WIDTH, 234))
        axes.set(xlim=(1, longest), ylim=(0, 1), xlabel="samples per fact (k)")
        axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        axes.set_xticks([1, *(k for k in range(5, longest, 5)), longest])
        axes.grid(axis="y", color=COLOURS["line"], linewidth=1)
        for phase in (phase for phase in ORDER if phase in present):
            _curve(axes, phase, present[phase])
        for place, phase in enumerate(present):
            _legend(axes, phase, {"twin": "never-written twin"}.get(phase, phase), 92 * place)

    said = " ".join(
        f"{PHASE_WORDS[phase]}: {percent(curve[0])} after 1 sample, {percent(curve[-1])} after {len(curve)}."
        for phase, curve in present.items()
    )
    return picture(key, title, said, (WIDTH, 234), draw)


def _curve(axes: Axes, phase: str, curve: Sequence[float]) -> None:
    wide = {"linewidth": 6, "alpha": 0.45} if phase == "twin" else {"linewidth": 2.5}
    ks = range(1, len(curve) + 1)
    axes.plot(ks, curve, color=COLOURS[phase], clip_on=False, zorder=3, solid_joinstyle="round", **wide)  # type: ignore[arg-type]
    _mark(axes, phase, len(curve), curve[-1])


def trend(key: str, title: str, points: Sequence[TrendPoint], threshold: float) -> str:
    """What each look saw, its own bound, and the bound that holds at all looks together."""
    highest = 1.1 * max([threshold, *(max(point.upper, point.anytime) for point in points)])
    top = next((nice for nice in NICE if nice >= highest), 1.0)

    def draw(figure: Figure) -> None:
        axes = _axes(figure, (54, 34, WIDTH - 40, 190), (WIDTH, 222))
        axes.set(xlim=(0, max(1, len(points) - 1)), ylim=(0, top))
        axes.set_yticks([0, top / 2, top], [percent(share) for share in (0, top / 2, top)])
        shown = sorted({0, len(points) // 2, len(points) - 1})
        axes.set_xticks(shown, [day(points[place].look.at) for place in shown])
        _keep_inside(axes)
        axes.grid(axis="y", color=COLOURS["line"], linewidth=1)
        axes.axhline(threshold, color=COLOURS["ink"], linewidth=1.2, dashes=(4, 3))
        _looks(axes, points)
        for phase, word, x in (
            ("before", "told", 0),
            ("twin", "bound, this audit", 66),
            ("after", "all audits", 232),
        ):
            _legend(axes, phase, word, x)

    return picture(key, title, _describe_trend(points), (WIDTH, 222), draw)


def _looks(axes: Axes, points: Sequence[TrendPoint]) -> None:
    """The marks of the trend, smaller where there are many; the line begins anew where counting does."""
    small = min(1.0, max(0.3, 16 / len(points)))
    places, anytime = range(len(points)), [point.anytime for point in points]
    uppers = [point.upper for point in points]
    axes.vlines(places, 0, uppers, color=COLOURS["twin"], linewidth=7 * small, alpha=0.45, clip_on=False)
    starts = [place for place in places if points[place].anew]
    for start, end in zip(starts, [*starts[1:], len(points)], strict=True):
        line = anytime[start:end]
        axes.plot(range(start, end), line, color=COLOURS["after"], linewidth=2.5, clip_on=False, zorder=4)
    for place, point in enumerate(points):
        _mark(axes, "after", place, point.anytime, small)
        _mark(axes, "before", place, point.rate, small)


def _describe_trend(points: Sequence[TrendPoint]) -> str:
    return " ".join(
        f"{day(point.look.at)}: {point.look.leaked} of {point.look.attempts} attempts told the answer; upper bound "
        f"of this audit {percent(point.upper)}, of all audits {percent(point.anytime)}."
        for point in points
    )


def _axes(figure: Figure, box: tuple[int, int, int, int], size: tuple[int, int]) -> Axes:
    """Axes in the box left, top, right, bottom (px from the upper left corner)."""
    (left, top, right, bottom), (width, height) = box, size
    axes = figure.add_axes(
        (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height), facecolor="none"
    )
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    return axes


def _keep_inside(axes: Axes) -> None:
    """Let the first label of the x axis begin, and the last one end, where its tick is."""
    labels = axes.get_xticklabels()
    labels[-1].set_horizontalalignment("right")
    labels[0].set_horizontalalignment("left")


def _mark(axes: Axes, phase: str, x: float, y: float, scale: float = 1.0) -> None:
    size = scale * {"before": 11, "after": 10.5, "twin": 10}[phase]
    axes.plot(
        [x], [y], MARKS[phase], color=COLOURS[phase], markersize=size, markeredgecolor=COLOURS["sheet"],
        markeredgewidth=1.5 * scale, clip_on=False, zorder=5,
    )  # fmt: skip


def _legend(axes: Axes, phase: str, word: str, x: float) -> None:
    """One entry above the axes, `x` px from their left."""
    at = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(word, (0, 1), (x + 14, 15), size=LABEL, weight="bold", **at)  # type: ignore[arg-type]
    height = axes.get_window_extent().height
    width = axes.get_window_extent().width
    axes.plot(
        [(x + 4) / width], [1 + 19 / height], MARKS[phase], color=COLOURS[phase], markersize=9,
        markeredgecolor=COLOURS["sheet"], transform=axes.transAxes, clip_on=False,
    )  # fmt: skip
