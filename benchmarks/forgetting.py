"""Selective forgetting (paper, Table 4): `python -m benchmarks.forgetting`.

N facts are written, one is forgotten (alpha = -1) and, as in the paper, the same prompt with the answer «unknown» is
written in its place; this is repeated for a sample of facts, each time from the full memory. Recall is the reader's
greedy answer.

    forgotten, at its key       the scope is bypassed and the memory is read at the key of the removed fact (paper)
    forgotten, key left empty   the same without «unknown» in its place: the key reads a mixture of the others
    retained                    all other facts, by the paper's single read and by the joint read
    product                     the whole model, facts in shards, prompts through the scope detector; as *base*
                                stands how often an empty memory's decoder says the forgotten answers by itself

The joint read after a removal also shows that the memory holds the others and nothing else: they explain B to the
last bit.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from tqdm import tqdm

from benchmarks.recall import (
    FullMemory,
    answered,
    counterfact,
    latents,
    occupied,
    recalled,
    share,
    slots_of,
    tombstone,
)
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from larimar import Fact, Larimar
from larimar.serving import Weights

PAPER = {1: (0.001, 0.997), 2: (0.02, 0.79)}
"""Forgotten and retained of Larimar-1.3B on CounterFact at N = K and N = 2K."""


@dataclass(frozen=True)
class Recall:
    """Shares of facts recalled at one N."""

    facts: int
    asked: int
    """how many facts were forgotten, one at a time"""
    before: float
    """recall of these before, single read"""
    forgotten: float
    """at their keys, «unknown» in their place"""
    key_left_empty: float
    retained_single: float
    retained_joint: float
    nothing_else: bool
    """after a removal the retained facts explain the memory to the last bit"""
    product_base: float
    """the sample with an empty memory: what the base decoder says by itself"""
    product_before: float
    product_forgotten: float
    product_retained: float


def at_removed_keys(
    weights: Weights, full: FullMemory, sample: Sequence[int], *, censored: bool
) -> list[bool]:
    """Whether each fact is still said when the memory without it is read at its own key."""
    read, lengths = [], []
    for at in tqdm(sample, unit="fact", desc="forget", leave=False):
        rest = full.without(at)
        key, lasting = full.keys[at : at + 1], full.lengths[at]
        if censored:
            codes = tombstone(weights, full.facts[at])
            rest.memory.write(key, latents(weights, [codes]))
            lasting = torch.tensor(len(codes))
        read.append(rest.single(key))
        lengths.append(lasting)
    filled = occupied(torch.stack(lengths), weights.config.slots)
    return recalled(weights, [full.facts[at] for at in sample], torch.cat(read), filled)


def retained(weights: Weights, rest: FullMemory) -> tuple[float, float, bool]:
    """Recall of all facts by the single and the joint read, and whether the joint read is proven."""
    filled = occupied(rest.lengths, weights.config.slots)
    read = rest.joint()
    slots = slots_of(weights, read.tokens)
    return (
        share(recalled(weights, rest.facts, rest.single(), filled)),
        share(recalled(weights, rest.facts, slots, filled)),
        read.exact,
    )


def product(
    model: Larimar, facts: list[Fact], sample: Sequence[int], kept: int
) -> tuple[float, float, float, float]:
    """Through the product: recall of the sample before all are written, after that and after it is forgotten, and of
    `kept` others then."""
    gone = [facts[at] for at in sample]
    others = [fact for fact in facts if fact not in gone][:kept]
    base = share(answered(model, gone))
    model.write(facts)
    before = share(answered(model, gone))
    model.forget([fact.id for fact in gone])
    after, still = share(answered(model, gone)), share(answered(model, others))
    model.forget([fact.id for fact in facts if fact not in gone])
    return base, before, after, still


def measure(model: Larimar, facts: list[Fact], asked: int) -> Recall:
    """Everything at one N."""
    weights = model.weights
    sample = random.Random(0).sample(range(len(facts)), asked)
    full = FullMemory(weights, facts)
    filled = occupied(full.lengths[sample], weights.config.slots)
    before = recalled(weights, [facts[at] for at in sample], full.single(full.keys[sample]), filled)
    single, joint, proven = retained(weights, full.without(sample[0]))
    return Recall(
        len(facts), asked, share(before), share(at_removed_keys(weights, full, sample, censored=True)),
        share(at_removed_keys(weights, full, sample, censored=False)), single, joint, proven,
        *product(model.with_bank(), facts, sample, kept=4 * asked),
    )  # fmt: skip


def rows(results: list[Recall], memory_rows: int) -> list[Row]:
    """Lines of the page."""
    made = []
    for result in results:
        times = result.facts // memory_rows
        gone, stay = PAPER.get(times, (None, None))
        name = f"N = {result.facts}, K = {memory_rows}"
        left, alone = result.product_forgotten, result.product_base
        reach = "≥ 0.999" if times == 1 else "≥ 0.95"
        made += [
            Row(f"{name}: forgotten, read at its key", gone, "0", result.forgotten),
            Row(f"{name}: forgotten, key left empty", None, "0", result.key_left_empty),
            Row(f"{name}: retained, single read", stay, None, result.retained_single),
            Row(f"{name}: retained, joint read", stay, reach, result.retained_joint),
            Row(f"{name}: forgotten, through the product", gone, "0", left, alone),
            Row(f"{name}: retained, through the product", stay, reach, result.product_retained),
        ]
    return made


def main() -> None:
    """Run the benchmark and write its result."""
    arguments = parser("benchmarks.forgetting", __doc__ or "")
    arguments.add_argument("--records", type=int, nargs="+", default=[512, 1024], help="facts written, N")
    arguments.add_argument("--forget", type=int, default=100, help="facts forgotten, one at a time")
    chosen = arguments.parse_args()
    started = time.time()
    model = Larimar.load(chosen.checkpoint)
    facts = [rewrite.fact for rewrite in counterfact(max(chosen.records))]
    results = []
    for count in tqdm(chosen.records, unit="N"):
        results.append(measure(model, facts[:count], min(chosen.forget, count // 2)))
        tqdm.write(str(results[-1]))
    write_result(
        "forgetting",
        {
            "benchmark": "Selective forgetting (Table 4)", "rows_of_memory": model.weights.config.rows,
            "checkpoint": checkpoint_digest(chosen.checkpoint), "results": [asdict(r) for r in results],
            "seconds": round(time.time() - started),
        },
        rows=rows(results, model.weights.config.rows), directory=chosen.results,
        command=make_command("bench-forgetting", arguments, chosen),
    )  # fmt: skip


if __name__ == "__main__":
    main()
