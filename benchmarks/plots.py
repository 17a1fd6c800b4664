"""Plots of benchmark results: one picture a figure of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

Points = Sequence[tuple[float, float]]


def draw(path: Path, series: Mapping[str, Points], *, title: str, x: str, y: str, log: bool = False) -> None:
    """Write a PNG with a line a series; series whose name begins with «paper» are dashed.

    With `log` the x axis is logarithmic (linear near zero).
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for name, points in series.items():
        style = "k--" if name.startswith("paper") else "o-"
        axes.plot([p[0] for p in points], [p[1] for p in points], style, markersize=3.5, label=name)
    if log:
        smallest = min(p[0] for points in series.values() for p in points if p[0] > 0)
        axes.set_xscale("symlog", linthresh=smallest)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def bars(
    path: Path,
    groups: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    x: str,
) -> None:
    """Write a PNG with horizontal bars: in each group one a series, its value with a whisker up to a bound."""
    high = 0.8 / len(series)
    figure, axes = plt.subplots(figsize=(7.0, 0.35 + 0.24 * len(groups) * len(series)), layout="constrained")
    for number, (name, values) in enumerate(series.items()):
        places = [group + high * (number - (len(series) - 1) / 2) for group in range(len(groups))]
        whiskers = [[0.0] * len(values), [max(0.0, bound - value) for value, bound in values]]
        axes.barh(places, [value for value, _ in values], high, xerr=whiskers, label=name, capsize=1.5)
    axes.set_yticks(range(len(groups)), groups)
    axes.invert_yaxis()
    axes.set(title=title, xlabel=x)
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
