"""CounterFact single edits (paper, Table 2): `python -m benchmarks.counterfact --records 500`.

For each record one fact with the counterfactual answer is written, seven or more prompts are scored with
the scope detector on, and the fact is forgotten again. The detector sees the prompt only, never a candidate
answer; the random distractor sentences of the paraphrases are kept.

    edit success    P(new) > P(true) on the prompt that was written
    paraphrase      P(new) > P(true) on its paraphrases
    neighbourhood   P(true) > P(new) on prompts about other subjects

P is the mean log-probability a token. S is the share of prompts, M the mean difference of probabilities.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from tqdm import tqdm

from benchmarks.recording import environment, write_result
from larimar import Fact, Larimar

PAPER = {
    "Larimar-6B": {"edit": 99.6, "paraphrase": 76.5, "neighbourhood": 80.2},
    "Larimar-1.3B": {"edit": 100.0, "paraphrase": 41.7, "neighbourhood": 74.7},
    "ROME on GPT-J": {"edit": 99.9, "paraphrase": 99.1, "neighbourhood": 78.9},
}


class Scorer(Protocol):
    """Anything that gives mean log-probabilities of targets after prompts."""

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Nats a token."""


@dataclass
class Tally:
    """Successes and probability differences of one kind of prompt."""

    right: list[bool] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    in_scope: list[bool] = field(default_factory=list)

    def row(self) -> dict[str, float]:
        """S and M in per cent, and the share that the detector found in scope."""
        n = len(self.right)
        return {
            "S": round(100 * sum(self.right) / n, 2),
            "M": round(100 * sum(self.margin) / n, 2),
            "in_scope": round(100 * sum(self.in_scope) / n, 2),
            "prompts": n,
        }


@dataclass(frozen=True)
class Record:
    """One CounterFact case as text."""

    case_id: int
    prompt: str
    subject: str
    new: str
    true: str
    paraphrases: list[str]
    neighbours: list[str]


def load(path: Path, count: int) -> list[Record]:
    """The first `count` full records."""
    rows = json.loads(path.read_text(encoding="utf-8"))[:count]
    return [
        Record(
            r["case_id"], w["prompt"].format(w["subject"]), w["subject"], w["target_new"]["str"],
            w["target_true"]["str"], r["paraphrase_prompts"], r["neighborhood_prompts"],
        )
        for r in rows
        for w in [r["requested_rewrite"]]
    ]  # fmt: skip


def score_record(record: Record, scorer: Scorer, tallies: dict[str, Tally], in_scope: list[bool]) -> None:
    """Score every prompt of a record with both answers and add them up."""
    prompts = [record.prompt, *record.paraphrases, *record.neighbours]
    kinds = ["edit", *["paraphrase"] * len(record.paraphrases), *["neighbourhood"] * len(record.neighbours)]
    scores = scorer.score(prompts * 2, [record.new] * len(prompts) + [record.true] * len(prompts))
    pairs = zip(kinds, scores[: len(prompts)], scores[len(prompts) :], in_scope, strict=True)
    for kind, new, true, inside in pairs:
        sign = -1.0 if kind == "neighbourhood" else 1.0
        tallies[kind].right.append(sign * (new - true) > 0)
        tallies[kind].margin.append(sign * (math.exp(new) - math.exp(true)))
        tallies[kind].in_scope.append(inside)


def run(model: Larimar, records: list[Record]) -> dict[str, object]:
    """Edit, score and forget each record; the base decoder is scored on the same prompts."""
    kinds = ("edit", "paraphrase", "neighbourhood")
    edited, base = ({kind: Tally() for kind in kinds} for _ in range(2))
    empty, edit_s = model.digest(), 0.0
    for record in tqdm(records, unit="record"):
        prompts = [record.prompt, *record.paraphrases, *record.neighbours]
        score_record(record, model.base, base, [False] * len(prompts))
        started = time.perf_counter()
        model.write([Fact(str(record.case_id), record.prompt, record.new, record.subject)])
        edit_s += time.perf_counter() - started
        score_record(record, model, edited, [route is not None for route in model.in_scope(prompts)])
        model.forget([str(record.case_id)])
    if model.digest() != empty:
        raise AssertionError("after forgetting every record the bank is not the empty bank")
    return {
        "larimar": {kind: edited[kind].row() for kind in kinds},
        "base_decoder": {kind: base[kind].row() for kind in kinds},
        "edit_ms": round(1000 * edit_s / len(records), 2),
    }


def main() -> None:
    """Run the benchmark and write its result."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counterfact", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--data", type=Path, default=Path("benchmarks/data/counterfact.json"))
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--checkpoint", type=Path)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    records = load(arguments.data, arguments.records)
    started = time.time()
    measured = run(Larimar.load(arguments.checkpoint), records)
    result = {
        "benchmark": "CounterFact, single edits, scope on, distractors kept",
        "records": len(records),
        "data_sha256": hashlib.sha256(arguments.data.read_bytes()).hexdigest(),
        **measured,
        "paper": PAPER,
        "seconds": round(time.time() - started),
        **environment(),
    }
    print(json.dumps(result, indent=2))
    write_result("counterfact", result)


if __name__ == "__main__":
    main()
