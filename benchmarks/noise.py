"""Robustness to addressing noise (paper, Figure 6): `python -m benchmarks.noise`.

Facts are written at keys w and read at w + sigma_w · n with n ~ N(0, I) over the K rows; recall is the reader's greedy
answer. As in the paper one memory holds one fact; beside it, memories that are half and three quarters full, and a
smaller one. Each point is the mean of independent runs, each with facts and noise of its own.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.plots import draw
from benchmarks.recall import FullMemory, counterfact, occupied, recalled, share
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Fact, Larimar
from larimar.memory import KEY_BITS
from larimar.serving import Weights

SIGMAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)
SETTINGS = {
    "K = 512, one fact (the paper's)": (512, 0.0), "K = 512, N = K/2": (512, 0.5),
    "K = 512, N = 3K/4": (512, 0.75), "K = 128, N = K/2": (128, 0.5),
}  # fmt: skip
"""Rows of the memory and its load; load 0 is one fact a memory."""

Setting = tuple[int, float]


Curve = list[tuple[float, float]]
"""Recall at each sigma_w."""


def readouts(full: FullMemory, asked: int, noise: torch.Generator) -> Tensor:
    """What the first `asked` facts read at every sigma_w: (sigmas, asked, S, d)."""
    keys = full.keys[:asked].to(torch.float64) * 2.0**-KEY_BITS
    drawn = torch.randn(len(SIGMAS), *keys.shape, generator=noise, dtype=torch.float64)
    noisy = keys + torch.tensor(SIGMAS, dtype=torch.float64)[:, None, None] * drawn
    read = full.slots(noisy.flatten(0, 1) @ full.memory.solution())
    return read.view(len(SIGMAS), asked, *read.shape[1:])


def run(
    weights: Weights, own: list[Fact], others: list[Fact], setting: Setting, seed: int
) -> list[list[bool]]:
    """Recall of each of `own` at every sigma_w; `others` fill the memory up to its load."""
    rows, load = setting
    noise = torch.Generator().manual_seed(seed)
    count = max(1, round(load * rows))
    asked = min(len(own), count)
    parts = [own[start : start + asked] for start in range(0, len(own) - asked + 1, asked)]
    memories = [FullMemory(weights, [*part, *others][:count], rows) for part in parts]
    slots = torch.cat([readouts(full, asked, noise) for full in memories], dim=1)
    lengths = torch.cat([full.lengths[:asked] for full in memories])
    facts = [fact for part in parts for fact in part]
    return [recalled(weights, facts, read, occupied(lengths, weights.config.slots)) for read in slots]


def curve(weights: Weights, facts: list[Fact], setting: Setting, runs: int) -> Curve:
    """Mean recall over runs; every run asks its own part of `facts` and fills up with the rest."""
    hits: list[list[bool]] = [[] for _ in SIGMAS]
    size = len(facts) // runs
    for number in range(runs):
        own = facts[number * size : (number + 1) * size]
        others = [r.fact for r in counterfact(len(facts) + setting[0]) if r.fact not in own]
        for found, more in zip(hits, run(weights, own, others, setting, number), strict=True):
            found += more
    return [(sigma, share(found)) for sigma, found in zip(SIGMAS, hits, strict=True)]


def plateau(points: Curve) -> float:
    """The largest sigma_w up to which recall stays at or above 0.95 of its value without noise."""
    floor, last = 0.95 * points[0][1], 0.0
    for sigma, recall in points:
        if recall < floor:
            break
        last = sigma
    return last


def main() -> None:
    """Run the benchmark and write its result and its plot."""
    arguments = parser("benchmarks.noise", __doc__ or "")
    arguments.add_argument("--records", type=int, default=72, help="facts asked a point, over all runs")
    arguments.add_argument("--runs", type=int, default=3)
    chosen = arguments.parse_args()
    started = time.time()
    weights = Larimar.load(chosen.checkpoint).weights
    facts = [rewrite.fact for rewrite in counterfact(chosen.records)]
    curves: dict[str, Curve] = {}
    for name, setting in tqdm(SETTINGS.items(), unit="setting"):
        curves[name] = curve(weights, facts, setting, chosen.runs)
        tqdm.write(f"{name}: {curves[name]}")
    write_result(
        "noise",
        {
            "benchmark": "Noise of addressing, sigma_w (Figure 6)", "records": len(facts), "runs": chosen.runs,
            "checkpoint": checkpoint_digest(chosen.checkpoint), "curves": curves,
            "seconds": round(time.time() - started),
        },
        rows=[
            Row(f"largest sigma_w with 95 % of the recall, {name}", "plot only", "a wide plateau", plateau(points))
            for name, points in curves.items()
        ],
        command=make_command("bench-noise", arguments, chosen), directory=chosen.results,
    )  # fmt: skip
    draw(chosen.results / "noise.png", curves, title="Noise of addressing", x="sigma_w", y="recall", log=True)


if __name__ == "__main__":
    main()
