"""Facts that the base decoder knows by itself, and what a censor of them must leave alone.

Known: the base decoder gives the whole answer, right after the prompt, a probability of at least `LEAST`; the
subject's name and the prompt do not tell it (docs/adr/0020). Only CounterFact cases below 2,000: the scope
detector was fitted on the others. Neighbours are CounterFact's; other questions about the same subject are the
product's own (`audit.neighbours`) and CounterFact's under other relations that ask for something else. A
prompt that names a censored subject is nobody's neighbour and is left out, and so is one that asks for what
another record of this set censors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.facts import AuditFact, refusal
from audit.neighbours import same_subject_prompts
from benchmarks.datasets import DATA
from benchmarks.tombstones import naming_none, tells
from larimar import Fact, Larimar
from larimar.relations import same_question

LEAST = 0.01
"""Probability of the whole answer. Patil et al. 2023 take 0.02 (of its one token)."""
BELOW = 2000
"""First case that the scope detector may have seen."""
NEIGHBOURS, SAME_SUBJECT = 3, 4


@dataclass(frozen=True)
class Known:
    """A fact with its probability in the base decoder and CounterFact's prompts around it."""

    fact: AuditFact
    probability: float
    relation: str
    paraphrases: tuple[str, ...] = ()
    """behind distractor sentences"""
    neighbours: tuple[str, ...] = ()


def candidates(path: Path, max_tokens: int, below: int = BELOW) -> list[Known]:
    """The file's records with their true answers, as far as they can be audited honestly; probability unknown."""
    found = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        rewrite = record["requested_rewrite"]
        subject, answer = rewrite["subject"], rewrite["target_true"]["str"]
        fact = AuditFact(str(record["case_id"]), rewrite["prompt"].format(subject), (answer,), subject)
        if record["case_id"] < below and not tells(subject, answer) and not refusal(fact, max_tokens):
            around = record.get("paraphrase_prompts", ()), record.get("neighborhood_prompts", ())
            found.append(Known(fact, 0.0, rewrite["relation_id"], *map(tuple, around)))
    return found


def known_facts(
    model: Larimar, path: Path, count: int, *, least: float = LEAST, max_tokens: int = 16
) -> list[Known]:
    """The first `count` facts of a file that the base decoder knows, one a prompt."""
    rows = list({row.fact.prompt: row for row in candidates(path, max_tokens)}.values())
    found: list[Known] = []
    for start in range(0, len(rows), 256):
        some = rows[start : start + 256]
        queries = [model.weights.base.query(row.fact.prompt) for row in some]
        judged = model.weights.base.force(queries, [f" {row.fact.answers[0]}" for row in some])
        for row, forced in zip(some, judged, strict=True):
            probability = math.exp(sum(forced.log_probabilities))
            if probability >= least:
                kept = Known(row.fact, round(probability, 4), row.relation, row.paraphrases, row.neighbours)
                found.append(kept)
        print(f"{len(found)} known facts of {start + len(some)}", flush=True)
        if len(found) >= count:
            break
    return found[:count]


def model_fact(fact: AuditFact) -> Fact:
    """The fact as the model takes it."""
    return Fact(fact.id, fact.prompt, fact.answers[0], fact.subject, fact.aliases, fact.telling)


def neighbour_prompts(known: Sequence[Known]) -> list[str]:
    """CounterFact's prompts about others, the first few of each fact, without those about a censored subject."""
    asked = dict.fromkeys(p for row in known for p in row.neighbours[:NEIGHBOURS])
    return naming_none(asked, [row.fact.subject for row in known])


def same_subject(known: Sequence[Known], core: Path = DATA / "counterfact_core.jsonl") -> list[str]:
    """Other questions about the censored subjects: the product's, and CounterFact's of unlike relations."""
    facts = [row.fact for row in known]
    asked = {fact.prompt for fact in facts}
    own = [p for fact in facts for p in same_subject_prompts(fact, SAME_SUBJECT, seed=0, removed=facts)]
    return [p for p in dict.fromkeys([*own, *_elsewhere(known, core)]) if p not in asked]


def _elsewhere(known: Sequence[Known], core: Path) -> list[str]:
    """CounterFact's prompts about a censored subject that have another true answer and ask something else."""
    censored: dict[str, list[Known]] = {}
    for row in known:
        censored.setdefault(row.fact.subject, []).append(row)
    rewrites = [
        r["requested_rewrite"] for r in json.loads((DATA / "counterfact.json").read_text(encoding="utf-8"))
    ]
    asks = {rewrite["prompt"]: rewrite["relation_id"] for rewrite in rewrites}
    found = []
    for line in core.read_text(encoding="utf-8").splitlines():
        _, prompt, subject, _, true = json.loads(line)
        rows = censored.get(subject, ())
        if rows and not any(true in r.fact.answers or _same(asks.get(prompt), r.relation) for r in rows):
            found.append(prompt.format(subject))
    return found


def _same(one: str | None, other: str) -> bool:
    """Whether two relations by id, the first perhaps unknown, are one or are asked for in the same words."""
    return one == other or (one is not None and same_question(one, other))
