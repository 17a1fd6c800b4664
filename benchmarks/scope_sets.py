"""Labelled prompts that the scope detector is scored on; none of them is trained or tuned on.

Each set is a list of `Probe`: a stored prompt, a query, and whether the query asks for what is stored.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from larimar.relations import same_question
from larimar.spelling import SPELLINGS

CLOSE = Path(__file__).parent / "close_questions.json"
PERSONAL = Path(__file__).parent / "personal_questions.json"


@dataclass(frozen=True)
class Probe:
    """One query against one stored prompt."""

    stored: str
    subject: str
    """empty: the fact names nobody"""
    query: str
    same: bool
    kind: str = ""
    """relation of the fact, or the spelling of the name"""


def counterfact(full: Path, records: int, below: int = 2000, neighbours: int = 2) -> list[Probe]:
    """Paraphrases with their distractors against prompts about other subjects."""
    probes = []
    for record in _records(full, below)[:records]:
        rewrite = record["requested_rewrite"]
        about = rewrite["prompt"].format(rewrite["subject"]), rewrite["subject"]
        relation = rewrite["relation_id"]
        probes += [Probe(*about, q, True, relation) for q in record["paraphrase_prompts"]]
        others = random.Random(record["case_id"]).sample(record["neighborhood_prompts"], neighbours)
        probes += [Probe(*about, q, False, relation) for q in others]
    return probes


def counterfact_relations(
    full: Path, core: Path, records: int, below: int = 2000, *, every: bool = False
) -> list[Probe]:
    """Paraphrases against the prompts of other relations that CounterFact asks of the same subject.

    Relations whose wordings ask the same («X is located in» is a country, a city and a continent) are left
    out, unless `every` is set: nothing can tell them apart.
    """
    by_subject: dict[str, dict[str, str]] = defaultdict(dict)
    below_limit = {}
    for record in json.loads(core.read_text(encoding="utf-8")):
        rewrite = record["requested_rewrite"]
        by_subject[rewrite["subject"]][rewrite["relation_id"]] = rewrite["prompt"].format(rewrite["subject"])
        below_limit[rewrite["subject"], rewrite["relation_id"]] = record["case_id"] < below
    probes = [p for p in counterfact(full, records, below) if p.same]
    for subject, prompts in sorted(by_subject.items()):
        for relation, stored in prompts.items():
            others = [
                text
                for key, text in prompts.items()
                if key != relation and (every or not same_question(relation, key))
            ]
            if below_limit[subject, relation]:
                probes += [Probe(stored, subject, query, False, relation) for query in others]
    return probes


def zsre_relations(path: Path, records: int, *, every: bool = False) -> list[Probe]:
    """Rephrasings (KnowEdit) against its same-subject prompts, `Relation_Specificity`.

    One such prompt in seven has the fact's own true answer: «The father of X is» beside «Who is X's father?».
    It asks for the fact, so no detector should keep it out; it is left out here, unless `every` is set.
    """
    probes = []
    for record in json.loads(path.read_text(encoding="utf-8"))[:records]:
        about = record["prompt"], record["subject"]
        again = [record["rephrase_prompt"], *(q for q in record["generate_prompt"] if len(q.split()) > 2)]
        probes += [Probe(*about, q, True) for q in again[:3]]
        others = [
            other
            for other in record["locality"].get("Relation_Specificity", [])
            if every or not _answers(record["ground_truth"]) & _answers(other["ground_truth"])
        ]
        probes += [Probe(*about, other["prompt"], False) for other in others]
    return probes


def _answers(told: Any) -> set[str]:
    """The answers of a record, which come as a text, a list, or a list of lists."""
    return {a for part in told for a in _answers(part)} if isinstance(told, list) else {str(told).casefold()}


def close_questions(path: Path = CLOSE) -> list[Probe]:
    """Questions written by hand: the same words and the same subject, but something else is asked."""
    return [
        Probe(row["stored"], row["subject"], query, same)
        for row in json.loads(path.read_text(encoding="utf-8"))
        for same, queries in ((True, row["same"]), (False, row["other"]))
        for query in queries
    ]


def nameless(path: Path, records: int, block: int = 20) -> list[Probe]:
    """TOFU, no subject given: paraphrased questions against the two most alike questions about the same author."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    probes = []
    for i, row in enumerate(rows[:records]):
        start = i - i % block
        others = [r["question"] for r in rows[start : start + block] if r["question"] != row["question"]]
        others.sort(key=lambda q: -fuzz.token_set_ratio(q, row["question"]))
        probes.append(Probe(row["question"], "", row["paraphrased_question"], True))
        probes += [Probe(row["question"], "", q, False) for q in others[:2]]
    return probes


def spellings(full: Path, records: int, below: int = 2000) -> list[Probe]:
    """Paraphrases with the subject's name in each spelling, and the neighbours as they are."""
    probes = []
    for record in _records(full, below)[:records]:
        rewrite, rng = record["requested_rewrite"], random.Random(record["case_id"])
        subject = rewrite["subject"]
        stored = rewrite["prompt"].format(subject)
        for kind, spell in SPELLINGS.items():
            written = spell(subject, rng)
            query = rng.choice(record["paraphrase_prompts"]).replace(subject, written)
            if written != subject:
                probes.append(Probe(stored, subject, query, True, kind))
        probes += [Probe(stored, subject, q, False) for q in record["neighborhood_prompts"][:2]]
    return probes


def _records(full: Path, below: int) -> Sequence[dict[str, Any]]:
    """Full records that benchmarks score."""
    return [r for r in json.loads(full.read_text(encoding="utf-8")) if r["case_id"] < below]
