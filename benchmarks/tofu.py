"""TOFU's unlearning measures on the memory: `python -m benchmarks.tofu` (Maini et al. 2024).

All 4,000 facts are written; forget01, forget05 and forget10 are taken out exactly, one after the other, and each time
the bank is compared with the never-written twin's, to the bit, and everything is measured anew: model utility,
forget quality against the twin, ROUGE-L recall and extraction strength of what was forgotten. Every question goes
the product's way, scope detector on. At the end, from the full bank again, one fact of each author is forgotten and
asked for: do the author's other facts answer in its place?
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from benchmarks import tofu_page
from benchmarks.editing import RememberingEmbedder, chunks
from benchmarks.recording import Journal, checkpoint_digest, file_digest, make_command, parser, write_result
from benchmarks.tofu_data import PACKED, PER_AUTHOR, SPLITS, UTILITY, Question, Tofu, load
from benchmarks.tofu_measures import Likelihood, Measured, extraction_strength, rouge_l_recall
from larimar import Entry, Fact, Larimar
from larimar.decoding import Forced, Sampling
from larimar.errors import FactTooLong
from larimar.serving import Route, Weights
from larimar.text import spaced

ANSWER = Sampling(greedy=True, min_tokens=8, max_tokens=96)
"""TOFU's longest answer has 94 tokens. Asked without a chat template the base decoder would rather say nothing."""
_TOGETHER = {"cpu": 64, "cuda": 256}
"""Questions measured side by side."""
_FORCED = {"cpu": 8, "cuda": 64}
"""Questions whose answers are scored side by side: seven answers each, every token over the whole vocabulary."""

Row = dict[str, Any]


def write_all(model: Larimar, facts: Sequence[Fact]) -> list[str]:
    """Write facts; returns the ids of those that are too long for this model and were left out."""
    left_out = []
    for some in tqdm(list(chunks(facts, 64)), unit="batch", desc="write"):
        try:
            model.write(some)
        except FactTooLong:
            for fact in some:
                try:
                    model.write([fact])
                except FactTooLong:
                    left_out.append(fact.id)
    return left_out


def twin_without(model: Larimar, entries: Sequence[Entry], gone: set[str]) -> Larimar:
    """A model whose bank never held some facts; the others are written in another order."""
    kept = [entry for entry in entries if entry.fact_id not in gone]
    return model.with_bank(random.Random(0).sample(kept, len(kept)))


def force(weights: Weights, routes: Sequence[Route], targets: Sequence[Sequence[str]]) -> list[list[Forced]]:
    """Each target of each route, token by token; a question is read once for all of its targets."""
    found: list[list[Forced]] = [[] for _ in routes]
    for decoder, at in weights.by_decoder(routes):
        for some in chunks(at, _FORCED[device(weights)]):
            pairs = [(i, target) for i in some for target in targets[i]]
            queries, wanted = [routes[i].query for i, _ in pairs], [spaced(target) for _, target in pairs]
            for (i, _), one in zip(pairs, decoder.force(queries, wanted), strict=True):
                found[i].append(one)
    return found


def device(weights: Weights) -> str:
    """`cpu` or `cuda`."""
    return str(weights.base.model.device.type)


def said(weights: Weights, routes: Sequence[Route]) -> list[str]:
    """The greedy answer of each route."""
    texts = [""] * len(routes)
    for decoder, at in weights.by_decoder(routes):
        made = decoder.generate([routes[i].query for i in at], ANSWER)
        for i, outputs in zip(at, made, strict=True):
            texts[i] = outputs[0]
    return texts


def measure(model: Larimar, questions: Sequence[Question]) -> list[Row]:
    """What a model gives for questions, one row each."""
    routes = model.routes([q.question for q in questions])
    targets = [[q.answer, q.paraphrased, *q.perturbed] for q in questions]
    told, texts = force(model.weights, routes, targets), said(model.weights, routes)
    rows = []
    for question, route, forced, text in zip(questions, routes, told, texts, strict=True):
        likely = [Likelihood(sum(one.log_probabilities), len(one.log_probabilities)) for one in forced]
        measured = Measured(
            likely[0], likely[1], tuple(likely[2:]), rouge_l_recall(question.answer, text),
            extraction_strength(forced[0].greedy),
        )  # fmt: skip
        rows.append({"asked": question.fact_id, "reached": route.fact_id, **asdict(measured)})
    return rows


class Run:
    """Measurements by state and set of questions; what a stopped run has measured is not measured again."""

    def __init__(self, journal: Journal) -> None:
        """`journal` holds a row a batch."""
        self.journal = journal
        self.done = {(row["state"], row["set"], row["batch"]): row["rows"] for row in journal.rows}

    def measure(self, state: str, model: Larimar, name: str, questions: Sequence[Question]) -> list[Row]:
        """All questions of a set, in batches."""
        rows: list[Row] = []
        batches = list(chunks(questions, _TOGETHER[device(model.weights)]))
        for batch, some in enumerate(tqdm(batches, unit="batch", desc=f"{state}, {name}", leave=False)):
            key = (state, name, batch)
            if key not in self.done:
                self.done[key] = measure(model, some)
                self.journal.append([{"state": state, "set": name, "batch": batch, "rows": self.done[key]}])
            rows += self.done[key]
        return rows


def state(run: Run, name: str, model: Larimar, tofu: Tofu, forgotten: Sequence[Question]) -> Row:
    """Everything that is measured of one state of the bank."""
    made: Row = {kind: run.measure(name, model, kind, tofu.questions[kind]) for kind in UTILITY}
    return made | {"forget": run.measure(name, model, "forget", forgotten)}


def forget_splits(run: Run, model: Larimar, tofu: Tofu, held: set[str]) -> dict[str, Row]:
    """Forget the sets one after the other, each measured on the model and on its never-written twin."""
    entries = list(model.bank.entries.values())
    states: dict[str, Row] = {}
    for split in SPLITS:
        gone = set(tofu.forgotten(split)) & held
        model.forget(sorted(gone & set(model.bank.entries)))
        never = twin_without(model, entries, gone)
        digest, same = model.digest(), model.digest() == never.digest()
        assert same, "after an exact removal the bank is not the never-written one"
        states[split] = state(run, split, model, tofu, tofu.asked(split))
        states[split]["never"] = run.measure(f"{split}, never written", never, "forget", tofu.asked(split))
        states[split]["bank"] = {"digest": digest, "equals_never_written": same, "forgotten": len(gone)}
    return states


def one_of_each(tofu: Tofu, held: set[str]) -> list[Question]:
    """One fact of each author, drawn at random, as a question; no other answers are scored."""
    draw = random.Random(0)
    groups = [tofu.facts[at : at + PER_AUTHOR] for at in range(0, len(tofu.facts), PER_AUTHOR)]
    drawn = [draw.choice([fact for fact in group if fact.id in held]) for group in groups]
    return [Question(fact.prompt, fact.answer, fact.answer, (), fact.id) for fact in drawn]


def same_author(run: Run, model: Larimar, tofu: Tofu, step: int) -> dict[str, list[Row]]:
    """A fact of each author before and after it is forgotten, the author's others kept, and on an empty bank."""
    asked = one_of_each(tofu, set(model.bank.entries))[::step]
    before = run.measure("full", model, "one of each author", asked)
    base = run.measure("base decoder", model.with_bank(), "one of each author", asked)
    model.forget([question.fact_id for question in asked])
    after = run.measure("one of each author forgotten", model, "one of each author", asked)
    return {"before": before, "after": after, "base": base}


def benchmark(model: Larimar, tofu: Tofu, journal: Journal, step: int = 1) -> dict[str, Any]:
    """All states by name: `base`, `full`, the splits, `same_author`; and what was written."""
    detector, run = model.weights.detector, Run(journal)
    plain, detector.embedder = detector.embedder, RememberingEmbedder(detector.embedder)
    started = time.perf_counter()
    left_out = write_all(model, tofu.facts)
    seconds = time.perf_counter() - started
    entries = list(model.bank.entries.values())
    rows = {entry.fact_id: -(-len(entry.value) // model.weights.config.slots) for entry in entries}
    made: dict[str, Any] = {
        "written": {"facts": len(entries), "too_long": len(left_out), "seconds": round(seconds, 1)},
        "memory_rows": rows,
        "base": state(run, "base decoder", model.with_bank(), tofu, tofu.questions["forget"]),
        "full": state(run, "full", model, tofu, tofu.questions["forget"]),
        "same_author": same_author(run, model.with_bank(entries), tofu, step),
        "splits": forget_splits(run, model, tofu, set(rows)),
    }
    detector.embedder = plain
    return made


def main() -> None:
    """Run the benchmark and write its result and its picture."""
    options = parser("benchmarks.tofu", __doc__ or "")
    options.add_argument(
        "--every", type=int, default=1, metavar="N", help="measure every N-th question; odd, no multiple of 5"
    )
    chosen = options.parse_args()
    started, step = time.time(), chosen.every
    tofu = load().thinned(step)
    model = Larimar.load(chosen.checkpoint)
    settings = {
        "benchmark": "TOFU: unlearning measured on the memory" + (f" (every {step}th question)" if step > 1 else ""),
        "facts": len(tofu.facts), "every": step,
        "data_sha256": file_digest(PACKED), "checkpoint_sha256": checkpoint_digest(chosen.checkpoint),
        "device": device(model.weights),
    }  # fmt: skip
    journal = Journal(chosen.results / "tofu.jsonl", settings)
    figures = tofu_page.figures(benchmark(model, tofu, journal, step), tofu)
    write_result(
        "tofu",
        {**settings, "note": tofu_page.NOTE, **figures,
         "published": tofu_page.published(), "seconds_of_last_run": round(time.time() - started)},
        rows=tofu_page.rows(figures), command=make_command("bench-tofu", options, chosen),
        directory=chosen.results,
    )  # fmt: skip
    tofu_page.draw(figures, chosen.results / "tofu.png")
    journal.close()


if __name__ == "__main__":
    main()
