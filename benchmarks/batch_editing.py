"""Batch editing in one memory (paper, Figure 2): `python -m benchmarks.batch_editing`.

1 to 1,024 CounterFact facts are written to ONE memory of K = 512 rows, whose limit of 0.75 K is lifted, and every
fact is asked for with its own prompt at its own key. Two reads are compared: single (least squares, as in the
paper; the number of tokens of a fact is known from its ledger entry) and joint (`larimar.joint`). Recall is the
reader's greedy answer; edit success is P(new) > P(true).
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.plots import draw
from benchmarks.recall import (
    FullMemory,
    Rewrite,
    counterfact,
    occupied,
    preferred,
    recalled,
    share,
    slots_of,
)  # fmt: skip
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Larimar
from larimar.serving import Weights

PAPER = {1: 1.0, 512: 1.0, 1024: 0.82}
"""Rewrite recall of Larimar-6B, as the text of section 5.4 gives it."""
_SIZES = (1, 8, 64, 256, 512, 1024)
_LEAST_ASKED = 32
"""Small sizes fill several memories, so that this many facts are asked."""

Answers = list[tuple[bool, bool]]
"""Greedy recall and edit success, fact by fact."""


@dataclass(frozen=True)
class Batch:
    """What was measured with one size of batch."""

    facts: int
    memories: int
    """how many separate memories of this size were filled and asked"""
    single_recall: float
    single_success: float
    joint_recall: float
    joint_success: float
    proven: bool
    """the joint read explained every memory to the last bit"""
    joint_seconds: float
    """a memory"""


def ask(weights: Weights, part: list[Rewrite], slots: Tensor, filled: Tensor) -> Answers:
    """Let the reader answer every fact's prompt from readouts (N, S, d)."""
    recall = recalled(weights, [r.fact for r in part], slots, filled)
    return list(zip(recall, preferred(weights, part, slots, filled), strict=True))


def ask_clean(weights: Weights, part: list[Rewrite]) -> Answers:
    """The reader's answers when every fact is read without error: the most that any read can reach."""
    full = FullMemory(weights, [r.fact for r in part])
    return ask(weights, part, full.written(), occupied(full.lengths, weights.config.slots))


def measure(weights: Weights, rewrites: list[Rewrite], size: int, clean: Answers) -> Batch:
    """Fill memories of `size` facts and read them both ways; `clean` are the answers of `ask_clean`."""
    memories = max(1, min(_LEAST_ASKED, len(rewrites)) // size)
    single: Answers = []
    joint: Answers = []
    proven, seconds = True, 0.0
    for start in range(0, memories * size, size):
        part = rewrites[start : start + size]
        full = FullMemory(weights, [r.fact for r in part])
        filled = occupied(full.lengths, weights.config.slots)
        single += ask(weights, part, full.single(), filled)
        started = time.perf_counter()
        read = full.joint()
        seconds += time.perf_counter() - started
        proven &= read.exact
        slots = slots_of(weights, read.tokens)
        same = torch.equal(slots, full.written())
        joint += clean[start : start + size] if same else ask(weights, part, slots, filled)
    return Batch(
        size, memories, share([r for r, _ in single]), share([s for _, s in single]),
        share([r for r, _ in joint]), share([s for _, s in joint]), proven, round(seconds / memories, 2),
    )  # fmt: skip


def rows(batches: list[Batch], most: int) -> list[Row]:
    """Lines of the page: the two sizes that the paper names, or the largest that was run."""
    made = []
    named = [b for b in batches if b.facts in (512, 1024)] or batches[-1:]
    for b in named:
        reach = {512: "1.00", 1024: "≥ 0.95"}.get(b.facts)
        made += [
            Row(
                f"recall, {b.facts} facts, K = {most}, single read",
                PAPER.get(b.facts),
                reach,
                b.single_recall,
            ),
            Row(
                f"recall, {b.facts} facts, K = {most}, joint read", PAPER.get(b.facts), reach, b.joint_recall
            ),
            Row(f"edit success, {b.facts} facts, single read", None, None, b.single_success),
            Row(f"edit success, {b.facts} facts, joint read", None, None, b.joint_success),
        ]
    return made


def main() -> None:
    """Run the benchmark and write its result and its plot."""
    arguments = parser("benchmarks.batch_editing", __doc__ or "")
    arguments.add_argument("--records", type=int, default=1024, help="the largest batch")
    chosen = arguments.parse_args()
    started = time.time()
    weights = Larimar.load(chosen.checkpoint).weights
    rewrites = counterfact(chosen.records)
    clean = ask_clean(weights, rewrites)
    batches = []
    for size in tqdm(sorted({n for n in _SIZES if n < len(rewrites)} | {len(rewrites)}), unit="size"):
        batches.append(measure(weights, rewrites, size, clean))
        tqdm.write(str(batches[-1]))
    write_result(
        "batch_editing",
        {
            "benchmark": "Batch editing in one memory of K rows (Figure 2)",
            "rows_of_memory": weights.config.rows, "checkpoint": checkpoint_digest(chosen.checkpoint),
            "batches": [asdict(b) for b in batches], "seconds": round(time.time() - started),
        },
        rows=rows(batches, weights.config.rows), command=make_command("bench-batch", arguments, chosen),
        directory=chosen.results,
    )  # fmt: skip
    draw(
        chosen.results / "batch_editing.png",
        {
            "single read": [(b.facts, b.single_recall) for b in batches],
            "joint read": [(b.facts, b.joint_recall) for b in batches],
            "paper, Larimar-6B": sorted(PAPER.items()),
        },
        title=f"Batch editing, K = {weights.config.rows}", x="facts in one memory", y="recall", log=True,
    )  # fmt: skip


if __name__ == "__main__":
    main()
