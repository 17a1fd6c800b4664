"""The log of a training run, a JSON line a step: cut where the run goes on from, and drawn as a picture."""

from __future__ import annotations

import json
from pathlib import Path


def cut_log(directory: Path, step: int) -> None:
    """Leave out of `log.jsonl` what was logged after a step, and a last line that a crash left half-written."""
    log = directory / "log.jsonl"
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        log.write_text("".join(kept), encoding="utf-8")


def draw_losses(directory: Path) -> None:
    """`loss.png` from `log.jsonl`: loss and accuracy by step, smoothed over ten; validation if it is there."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    lines = (directory / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = list({row["step"]: row for row in map(json.loads, lines)}.values())
    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    steps, losses = [row["step"] for row in rows], [row["loss"] for row in rows]
    axis.plot(steps, losses, color="#c4d2de", linewidth=0.8)
    axis.plot(steps, _smoothed(losses), color="#2f5d8a", linewidth=1.6)
    for name in sorted({key for row in rows for key in row if key.startswith("validation ")}):
        checked = [(row["step"], row[name]) for row in rows if name in row]
        axis.plot(*zip(*checked, strict=True), marker=".", linewidth=1.0, label=name)
        axis.legend(frameon=False)
    axis.set(xlabel="step", ylabel="loss, nats a token (blue)", yscale="log")
    right = axis.twinx()
    right.plot(steps, _smoothed([100 * row["accuracy"] for row in rows]), color="#b5543c", linewidth=1.6)
    right.set(ylabel="target tokens right, % (red)", ylim=(0, 100))
    figure.savefig(directory / "loss.png", dpi=120)
    plt.close(figure)


def _smoothed(numbers: list[float], window: int = 10) -> list[float]:
    """The mean of each number and up to `window` - 1 before it."""
    parts = [numbers[max(0, i + 1 - window) : i + 1] for i in range(len(numbers))]
    return [sum(part) / len(part) for part in parts]
