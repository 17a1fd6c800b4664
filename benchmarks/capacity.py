"""How many facts one memory holds: `python -m benchmarks.capacity`.

CounterFact facts fill one memory of K rows up to five times over. A fact counts when every one of its tokens comes
back: by the single read (nearest code to the least-squares readout, as in the paper) and by the joint read
(`larimar.joint`). The reader takes no part, so this is the memory alone.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.plots import draw
from benchmarks.recall import FullMemory, counterfact, frozen_codes, occupied, share, slots_of
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Larimar
from larimar.encoder import thaw_codes
from larimar.serving import Weights

LOADS = (0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
"""N / K."""


@dataclass(frozen=True)
class Held:
    """What came back at one load."""

    load: float
    facts: int
    single: float
    """share of facts with every token right"""
    joint: float
    proven: bool
    """the joint read explained the memory to the last bit"""
    passes: int
    joint_seconds: float


def nearest(weights: Weights, slots: Tensor, filled: Tensor) -> Tensor:
    """Codes (N, S, d) nearest to filled slots (N, S, d); empty ones are zero."""
    codes = thaw_codes(frozen_codes(weights))
    clean = torch.zeros_like(slots)
    parts = [codes[(part @ codes.T).argmax(dim=1)] for part in slots[filled].split(1024)]
    clean[filled] = torch.cat(parts)
    return clean


def measure(weights: Weights, load: float, rows: int) -> Held:
    """Fill one memory and read it both ways."""
    full = FullMemory(weights, [rewrite.fact for rewrite in counterfact(round(load * rows))], rows)
    written = full.written()
    single = nearest(weights, full.single(), occupied(full.lengths, weights.config.slots))
    started = time.perf_counter()
    read = full.joint()
    seconds = time.perf_counter() - started
    joint = slots_of(weights, read.tokens)
    single_share, joint_share = (
        share((found == written).flatten(1).all(dim=1).tolist()) for found in (single, joint)
    )
    return Held(load, len(full.facts), single_share, joint_share, read.exact, read.passes, round(seconds, 1))


def main() -> None:
    """Run the benchmark and write its result and its plot."""
    arguments = parser("benchmarks.capacity", __doc__ or "")
    arguments.add_argument("--rows", type=int, default=512, help="K")
    chosen = arguments.parse_args()
    started = time.time()
    weights = Larimar.load(chosen.checkpoint).weights
    held = []
    for load in tqdm(LOADS, unit="load"):
        held.append(measure(weights, load, chosen.rows))
        tqdm.write(str(held[-1]))
    write_result(
        "capacity",
        {
            "benchmark": f"Facts that one memory of K = {chosen.rows} rows holds, every token right",
            "checkpoint": checkpoint_digest(chosen.checkpoint), "held": [asdict(h) for h in held],
            "seconds": round(time.time() - started),
        },
        rows=[
            Row(f"{h.facts} facts, N = {h.load:g} K: single / joint read", None, None, f"{h.single} / {h.joint}")
            for h in held
        ],
        command=make_command("bench-capacity", arguments, chosen), directory=chosen.results,
    )  # fmt: skip
    draw(
        chosen.results / "capacity.png",
        {"single read": [(h.load, h.single) for h in held], "joint read": [(h.load, h.joint) for h in held]},
        title=f"Facts read without error, K = {chosen.rows}", x="N / K", y="share of facts",
    )  # fmt: skip


if __name__ == "__main__":
    main()
