"""TOFU (Maini et al. 2024) as facts to write and questions to measure; packed by `benchmarks.make_tofu`.

200 fictitious authors with twenty questions each. A forget set is the last authors, whole: 2, 10 or 20 of them.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets import DATA
from larimar import Fact

PACKED = DATA / "tofu.json.xz"
PER_AUTHOR = 20
SPLITS = {"forget01": 40, "forget05": 200, "forget10": 400}
"""How many of the last facts each forget set holds; each contains the one before it."""
UTILITY = ("retain", "real_authors", "world_facts")


@dataclass(frozen=True)
class Question:
    """What is asked, and the answers that are scored."""

    question: str
    answer: str
    paraphrased: str
    """the right answer in other words; where TOFU has none, the answer itself, as its authors do"""
    perturbed: tuple[str, ...]
    """wrong answers in the form of `paraphrased`"""
    fact_id: str = ""
    """the fact that answers it, if it is written"""


@dataclass(frozen=True)
class Tofu:
    """Facts in TOFU's order, and questions by set."""

    facts: tuple[Fact, ...]
    questions: Mapping[str, tuple[Question, ...]]
    """`forget` (forget10; its ends are forget05 and forget01), `retain`, `real_authors`, `world_facts`"""

    def forgotten(self, split: str) -> list[str]:
        """Ids of the facts of a forget set."""
        return [fact.id for fact in self.facts[-SPLITS[split] :]]

    def asked(self, split: str) -> tuple[Question, ...]:
        """The questions of a forget set."""
        gone = set(self.forgotten(split))
        return tuple(question for question in self.questions["forget"] if question.fact_id in gone)

    def thinned(self, step: int) -> Tofu:
        """Every `step`-th question; all facts stay.

        An author's first question is unlike the others: let `step` have no divisor in common with 20.
        """
        return Tofu(self.facts, {name: some[::step] for name, some in self.questions.items()})


def load(path: Path = PACKED) -> Tofu:
    """The packed file."""
    data = json.loads(lzma.decompress(path.read_bytes()))
    facts = tuple(
        Fact(f"tofu-{n:04}", question, answer, data["authors"][n // PER_AUTHOR])
        for n, (question, answer) in enumerate(data["facts"])
    )
    first = {"forget": len(facts) - len(data["forget"]), "retain": 0}
    questions = {
        name: tuple(
            _question(record, facts[first[name] + n].id if name in first else "")
            for n, record in enumerate(data[name])
        )
        for name in ("forget", *UTILITY)
    }
    return Tofu(facts, questions)


def _question(record: dict[str, Any], fact_id: str) -> Question:
    """One record of a perturbed file."""
    paraphrased = record.get("paraphrased_answer", record["answer"])
    wrong = tuple(record["perturbed_answer"])
    return Question(record["question"], record["answer"], paraphrased, wrong, fact_id)
