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

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from tqdm import tqdm

from benchmarks.recording import Row, file_digest, parser, write_result
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


Scores = list[tuple[float, float]]
"""log-probabilities of the new and of the true answer, prompt by prompt"""


def prompts_of(record: Record) -> tuple[list[str], list[str]]:
    """Every prompt of a record and its kind."""
    kinds = ["edit", *["paraphrase"] * len(record.paraphrases), *["neighbourhood"] * len(record.neighbours)]
    return [record.prompt, *record.paraphrases, *record.neighbours], kinds


def both_scores(scorer: Scorer, prompts: list[str], new: list[str], true: list[str]) -> Scores:
    """Scores of both answers after each prompt."""
    scores = scorer.score(prompts * 2, new + true)
    return list(zip(scores[: len(prompts)], scores[len(prompts) :], strict=True))


def base_scores(model: Larimar, records: list[Record]) -> list[Scores]:
    """The base decoder's scores of every record."""
    found = []
    for record in tqdm(records, unit="record", desc="base decoder"):
        prompts, _ = prompts_of(record)
        found.append(
            both_scores(model.base, prompts, [record.new] * len(prompts), [record.true] * len(prompts))
        )
    return found


class AlwaysReading:
    """The model with its scope detector off: every prompt reads the one fact in the bank."""

    def __init__(self, model: Larimar, fact_id: str) -> None:
        """`fact_id`: the fact that was written."""
        self._model, self._fact_id = model, fact_id

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        """See `Scorer`."""
        return self._model.score_reading(prompts, targets, self._fact_id)


def edited_scores(model: Larimar, record: Record, base: Scores, scope: bool) -> tuple[Scores, list[bool]]:
    """Scores after the edit. Out of scope the base decoder answers, so its scores stand."""
    prompts, _ = prompts_of(record)
    inside = [not scope or route is not None for route in model.in_scope(prompts)]
    at = [i for i, is_inside in enumerate(inside) if is_inside]
    reading: Scorer = model if scope else AlwaysReading(model, str(record.case_id))
    read = both_scores(reading, [prompts[i] for i in at], [record.new] * len(at), [record.true] * len(at))
    replaced = dict(zip(at, read, strict=True))
    return [replaced.get(i, score) for i, score in enumerate(base)], inside


def count(record: Record, scores: Scores, inside: list[bool], tallies: dict[str, Tally]) -> None:
    """Add a record's prompts to the tallies."""
    for kind, (new, true), is_inside in zip(prompts_of(record)[1], scores, inside, strict=True):
        sign = -1.0 if kind == "neighbourhood" else 1.0
        tallies[kind].right.append(sign * (new - true) > 0)
        tallies[kind].margin.append(sign * (math.exp(new) - math.exp(true)))
        tallies[kind].in_scope.append(is_inside)


def run(model: Larimar, records: list[Record], scope: bool = True) -> dict[str, object]:
    """Edit, score and forget each record; the base decoder is scored on the same prompts."""
    kinds = ("edit", "paraphrase", "neighbourhood")
    edited, base = ({kind: Tally() for kind in kinds} for _ in range(2))
    empty, edit_s = model.digest(), 0.0
    untouched = base_scores(model, records)
    for record, before in tqdm(list(zip(records, untouched, strict=True)), unit="record", desc="edited"):
        count(record, before, [False] * len(before), base)
        started = time.perf_counter()
        model.write([Fact(str(record.case_id), record.prompt, record.new, record.subject)])
        edit_s += time.perf_counter() - started
        count(record, *edited_scores(model, record, before, scope), edited)
        model.forget([str(record.case_id)])
    if model.digest() != empty:
        raise AssertionError("after forgetting every record the bank is not the empty bank")
    return {
        "larimar": {kind: edited[kind].row() for kind in kinds},
        "base_decoder": {kind: base[kind].row() for kind in kinds},
        "edit_ms": round(1000 * edit_s / len(records), 2),
    }


def rows_of(measured: dict[str, object]) -> list[Row]:
    """S of each kind next to the paper's."""
    own, base = measured["larimar"], measured["base_decoder"]
    assert isinstance(own, dict)
    assert isinstance(base, dict)
    neighbours = base["neighbourhood"]["S"]
    reach = {"edit": "100", "paraphrase": "≥ 96", "neighbourhood": f"≥ base - 0.5 = {neighbours - 0.5:.2f}"}
    names = {"edit": "edit success", "paraphrase": "paraphrase", "neighbourhood": "neighbourhood"}
    paper = PAPER["Larimar-6B"]
    return [
        Row(f"{names[kind]}, S in %", paper[kind], reach[kind], own[kind]["S"], base[kind]["S"])
        for kind in names
    ]


def main() -> None:
    """Run the benchmark and write its result."""
    arguments_parser = parser("benchmarks.counterfact", __doc__)
    arguments_parser.add_argument("--data", type=Path, default=Path("benchmarks/data/counterfact.json"))
    arguments_parser.add_argument("--records", type=int, default=500)
    arguments_parser.add_argument("--scope-off", action="store_true", help="every prompt reads the memory")
    arguments = arguments_parser.parse_args()
    torch.manual_seed(0)
    records = load(arguments.data, arguments.records)
    started = time.time()
    measured = run(Larimar.load(arguments.checkpoint), records, scope=not arguments.scope_off)
    result = {
        "benchmark": f"CounterFact, single edits, scope {'off' if arguments.scope_off else 'on'}, distractors kept",
        "records": len(records),
        "data_sha256": file_digest(arguments.data),
        **measured,
        "paper": PAPER,
        "seconds": round(time.time() - started),
    }
    name = "counterfact_scope_off" if arguments.scope_off else "counterfact"
    command = f"make bench-counterfact{' ARGS=--scope-off' if arguments.scope_off else ''}"
    path = write_result(name, result, rows=rows_of(measured), command=command, directory=arguments.results)
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
