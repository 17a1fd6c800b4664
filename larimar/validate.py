"""How well a reader reads, on records that neither training nor a benchmark has: `python -m larimar.validate`.

The scope detector is off: every prompt reads the memory at its fact's key. All facts share one bank.

    edit, paraphrase    P(new) > P(true) on the prompt that was written and on its paraphrases (CounterFact cases
                        from `--first-case` on); S is the share of prompts, M the mean difference of probabilities
    question, order     greedy answers to a rephrased question, and to the same put as an order, that hold the answer
                        (the last ZsRE training records)
    unknown             sampled answers to paraphrases of censored facts that say «unknown», decoded freely
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from larimar.asking import put
from larimar.corpus import HELD_OUT
from larimar.decoding import Sampling
from larimar.model import Larimar
from larimar.serving import Route
from larimar.text import TOMBSTONE, Fact


def edits(model: Larimar, path: Path, first_case: int, count: int) -> dict[str, float]:
    """Success in per cent on prompts and paraphrases of `count` CounterFact records."""
    records = _records(path, first_case, count)
    facts = [_fact(r, "target_new") for r in records]
    own = model.with_bank()
    own.write(facts)
    found = {}
    for kind in ("edit", "paraphrase"):
        routes, targets = [], []
        for record, fact in zip(records, facts, strict=True):
            prompts = [fact.prompt] if kind == "edit" else record["paraphrase_prompts"]
            for route in own.reading(prompts, fact.id):
                routes += [route, route]
                targets += [record["requested_rewrite"][t]["str"] for t in ("target_new", "target_true")]
        scores = model.weights.score(routes, targets)
        pairs = list(zip(scores[::2], scores[1::2], strict=True))
        found[f"{kind} S"] = _percent(new > true for new, true in pairs)
        found[f"{kind} M"] = round(100 * sum(math.exp(n) - math.exp(t) for n, t in pairs) / len(pairs), 2)
    return found


def questions(model: Larimar, path: Path) -> dict[str, float]:
    """Recall in per cent of rephrased questions and of orders, on the records that training leaves out."""
    rows = json.loads(path.read_text(encoding="utf-8"))[-HELD_OUT:]
    rows = [r for r in rows if r["answers"] and r["rephrase"].count(r["subject"]) == 1]
    own, rng = model.with_bank(), random.Random(0)
    own.write([Fact(str(n), r["src"], r["answers"][0], r["subject"]) for n, r in enumerate(rows)])
    found = {}
    for kind in ("question", "order"):
        routes = []
        for n, row in enumerate(rows):
            asked = row["rephrase"]
            if kind == "order":
                asked = put(asked.replace(row["subject"], "{}"), rng).replace("{}", row["subject"])
            routes += own.reading([asked], str(n))
        said = _generate(model, routes, Sampling(greedy=True, max_tokens=16))
        pairs = zip(rows, said, strict=True)
        found[kind] = _percent(r["answers"][0].casefold() in texts[0].casefold() for r, texts in pairs)
    return found


def tombstones(model: Larimar, path: Path, first_case: int, count: int) -> dict[str, float]:
    """Share in per cent of sampled answers to paraphrases of censored facts that say «unknown»."""
    records = _records(path, first_case, count)
    own = model.with_bank()
    own.tombstone_decoding = "free"
    own.censor([_fact(r, "target_true") for r in records])
    routes = [route for r in records for route in own.reading(r["paraphrase_prompts"], str(r["case_id"]))]
    said = _generate(model, routes, Sampling(samples=5, max_tokens=10))
    return {"unknown": _percent(TOMBSTONE in text for texts in said for text in texts)}


def _generate(model: Larimar, routes: Sequence[Route], sampling: Sampling) -> list[list[str]]:
    return model.weights.reading.generate([route.query for route in routes], sampling)


def _records(path: Path, first_case: int, count: int) -> list[dict[str, Any]]:
    found = [r for r in json.loads(path.read_text(encoding="utf-8")) if r["case_id"] >= first_case]
    if not found:
        raise SystemExit(f"{path} has no record from case {first_case} on")
    return found[:count]


def _fact(record: dict[str, Any], target: str) -> Fact:
    rewrite = record["requested_rewrite"]
    prompt = rewrite["prompt"].format(rewrite["subject"])
    return Fact(str(record["case_id"]), prompt, rewrite[target]["str"], rewrite["subject"])


def _percent(hits: Any) -> float:
    listed = list(hits)
    return round(100 * sum(listed) / len(listed), 2)


def main() -> None:
    """Measure checkpoints and print one JSON line each."""
    parser = argparse.ArgumentParser(prog="python -m larimar.validate", description=__doc__.split("\n")[0])
    parser.add_argument("checkpoints", type=Path, nargs="*", help="directories; none: the shipped one")
    parser.add_argument("--counterfact", type=Path, required=True, help="full.json")
    parser.add_argument("--first-case", type=int, default=2000, help="benchmarks score the cases below")
    parser.add_argument("--questions", type=Path, required=True, help="ZsRE train records")
    parser.add_argument("--records", type=int, default=200)
    asked = parser.parse_args()
    for path in asked.checkpoints or [None]:
        model = Larimar.load(path)
        row: dict[str, Any] = {"checkpoint": str(path or "shipped")}
        row |= edits(model, asked.counterfact, asked.first_case, asked.records)
        row |= questions(model, asked.questions)
        row |= tombstones(model, asked.counterfact, asked.first_case, asked.records)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
