"""CounterFact single edits (paper, Table 2): `python -m benchmarks.counterfact`.

For each record one fact with the counterfactual answer is written into an empty bank and all its prompts are
scored with the scope detector on. The detector sees the prompt only, never a candidate answer; the random
distractor sentences of the paraphrases are kept.

    edit success    P(new) > P(true) on the prompt that was written
    paraphrase      P(new) > P(true) on its paraphrases
    neighbourhood   P(true) > P(new) on prompts about other subjects

P is the mean log-probability a token. S is the share of prompts, M the mean difference of probabilities. A run
that was stopped goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.datasets import DATA, CounterFact, counterfact
from benchmarks.editing import RememberingEmbedder, check, chunks, edited, routes_of
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from larimar import Fact, Larimar
from larimar.evidence import sentences_of
from larimar.names import mask_names

PAPER = {
    "Larimar-6B": {"edit": 99.6, "paraphrase": 76.5, "neighbourhood": 80.2},
    "Larimar-1.3B": {"edit": 100.0, "paraphrase": 41.7, "neighbourhood": 74.7},
    "ROME on GPT-J": {"edit": 99.9, "paraphrase": 99.1, "neighbourhood": 78.9},
}
KINDS = ("edit", "paraphrase", "neighbourhood")
_TOGETHER = 32
"""Records whose prompts share batches."""


@dataclass
class Tally:
    """Successes and probability differences of one kind of prompt."""

    right: list[bool] = field(default_factory=list)
    margin: list[float] = field(default_factory=list)
    in_scope: list[bool] = field(default_factory=list)

    def add(self, sign: float, new: float, true: float, inside: bool) -> None:
        """One prompt: log-probabilities of both answers; `sign` -1 where the true answer should win."""
        self.right.append(sign * (new - true) > 0)
        self.margin.append(sign * (math.exp(new) - math.exp(true)))
        self.in_scope.append(inside)

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
class Scored:
    """One record's prompts, kind by kind as `prompts_of` orders them."""

    case_id: int
    kinds: list[str]
    base: list[tuple[float, float]]
    """log-probabilities of the new and of the true answer"""
    edited: list[tuple[float, float]]
    inside: list[bool]
    edit_s: float


def prompts_of(record: CounterFact) -> tuple[list[str], list[str]]:
    """Every prompt of a record and its kind."""
    kinds = ["edit", *["paraphrase"] * len(record.paraphrases), *["neighbourhood"] * len(record.neighbours)]
    return [record.prompt, *record.paraphrases, *record.neighbours], kinds


def score(model: Larimar, records: Sequence[CounterFact], *, scope: bool = True) -> list[Scored]:
    """Scores of records before and after their own edits, all in one batch; the first is checked alone."""
    remember(model, records)
    empty, routes, targets, times = model.with_bank(), [], [], []
    for record in records:
        prompts, _ = prompts_of(record)
        fact = Fact(str(record.case_id), record.prompt, record.new, record.subject)
        twin, edit_s = edited(model, fact, record.stored)
        times.append(edit_s)
        for led in (*empty.routes(prompts), *routes_of(twin, prompts, fact.id, scope)):
            routes += [led, led]
            targets += [record.new, record.true]
        if record is records[0] and scope:
            check(twin, prompts, [record.true] * len(prompts))
    scores = model.weights.score(routes, targets)
    pairs = iter(zip(scores[::2], scores[1::2], routes[::2], strict=True))
    made = []
    for record, edit_s in zip(records, times, strict=True):
        _, kinds = prompts_of(record)
        before, after = ([next(pairs) for _ in kinds] for _ in range(2))
        base, own = ([(new, true) for new, true, _ in part] for part in (before, after))
        inside = [route.fact_id is not None for _, _, route in after]
        made.append(Scored(record.case_id, kinds, base, own, inside, edit_s))
    return made


def remember(model: Larimar, records: Sequence[CounterFact]) -> None:
    """Embed what the detector will ask for in one batch."""
    detector = model.weights.detector
    if not isinstance(detector.embedder, RememberingEmbedder):
        detector.embedder = RememberingEmbedder(detector.embedder)
    texts = dict.fromkeys(
        text
        for record in records
        for prompt in (*prompts_of(record)[0], *record.stored)
        for piece in (prompt, *sentences_of(prompt))
        for text in (piece, mask_names(piece, [record.subject]))
    )
    detector.embedder.remember(list(texts))


def score_all(
    model: Larimar, records: Sequence[CounterFact], journal: Journal, *, scope: bool = True
) -> list[dict[str, Any]]:
    """Score the records that the journal does not hold yet; returns its rows, `Scored` as dictionaries."""
    todo = records[len(journal.rows) :]
    with tqdm(total=len(records), initial=len(journal.rows), unit="record") as bar:
        for some in chunks(todo, _TOGETHER):
            journal.append([asdict(scored) for scored in score(model, some, scope=scope)])
            bar.update(len(some))
    return journal.rows


def tallies(rows: Sequence[dict[str, Any]], which: str) -> dict[str, dict[str, float]]:
    """S, M and the share in scope of each kind of prompt; `which` is `edited` or `base`."""
    made = {kind: Tally() for kind in KINDS}
    for row in rows:
        for kind, (new, true), inside in zip(row["kinds"], row[which], row["inside"], strict=True):
            sign = -1.0 if kind == "neighbourhood" else 1.0
            made[kind].add(sign, new, true, inside and which == "edited")
    return {kind: tally.row() for kind, tally in made.items() if tally.right}


def rows_of(own: dict[str, dict[str, float]], base: dict[str, dict[str, float]], scope: bool) -> list[Row]:
    """S of each kind next to the paper's."""
    neighbours = f"≥ base - 0.5 = {base['neighbourhood']['S'] - 0.5:.2f}" if scope else None
    reach = {"edit": "100", "paraphrase": "≥ 96", "neighbourhood": neighbours}
    names = {"edit": "edit success", "paraphrase": "paraphrase", "neighbourhood": "neighbourhood"}
    paper = PAPER["Larimar-6B"]
    return [
        Row(f"{name}, S in %", paper[kind] if scope else None, reach[kind], own[kind]["S"], base[kind]["S"])
        for kind, name in names.items()
    ]


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.counterfact", __doc__)
    options.add_argument("--data", type=Path, default=DATA / "counterfact.json")
    options.add_argument("--records", type=int, help="the first so many; default: all")
    options.add_argument("--scope-off", action="store_true", help="every prompt reads the memory")
    arguments = options.parse_args()
    scope, started = not arguments.scope_off, time.time()
    records = counterfact(arguments.data, arguments.records)
    settings = {
        "benchmark": f"CounterFact, single edits, scope {'on' if scope else 'off'}, distractors kept",
        "records": len(records),
        "data_sha256": file_digest(arguments.data),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }
    name = "counterfact" if scope else "counterfact_scope_off"
    journal = Journal(arguments.results / f"{name}.jsonl", settings)
    rows = score_all(Larimar.load(arguments.checkpoint), records, journal, scope=scope)
    own, base = tallies(rows, "edited"), tallies(rows, "base")
    result = {
        **settings,
        "larimar": own,
        "base_decoder": base,
        "edit_ms": round(1000 * sum(row["edit_s"] for row in rows) / len(rows), 2),
        "paper": PAPER,
        "seconds_of_last_run": round(time.time() - started),
    }
    command = make_command("bench-counterfact", options, arguments)
    path = write_result(
        name, result, rows=rows_of(own, base, scope), command=command, directory=arguments.results
    )
    journal.close()
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
