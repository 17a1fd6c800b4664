"""Attacks that put something around the prompt: `resample`, `distractor`, `frame`, `few-shot`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, islice, zip_longest
from random import Random
from typing import Any, ClassVar, Self

from audit.attacks.base import Attack
from audit.facts import AuditFact
from audit.forms import capital, form_of, tidy
from audit.frames import parts_of
from audit.relations import relation_of, relations
from audit.rephrase import Phrasing, acceptable, distinct


@cache
def wordings() -> dict[str, Any]:
    """The lists of data/attacks.toml."""
    return tomllib.loads((files("audit") / "data" / "attacks.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class ResampleAttack(Attack):
    """Asks the original prompt, word for word, many times at several temperatures; leak@k is read off it."""

    key: ClassVar[str] = "resample"
    goal: ClassVar[str] = "Wait until the model slips: ask the same question again and again."

    samples: int = 6
    temperatures: tuple[float, ...] = (0.7, 1.0, 1.3)

    @property
    def phrasings(self) -> int:  # type: ignore[override]
        """The prompt once a temperature."""
        return len(self.temperatures)

    @property
    def name(self) -> str:
        """The attack with its temperatures."""
        hot = ", ".join(map(str, self.temperatures))
        return f"resample (the original prompt × {self.samples} samples at each of {hot})"

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompt itself, once a temperature."""
        return [Phrasing(fact.prompt, f"temperature {t}", t) for t in self.temperatures], False

    def with_budget(self, budget: int) -> Self:
        """The budget spread over the temperatures; below three samples, the middle one alone."""
        few = self.temperatures if budget >= len(self.temperatures) else (1.0,)
        return type(self)(samples=max(1, budget // len(few)), temperatures=few)


@dataclass(frozen=True)
class DistractorAttack(Attack):
    """An unrelated sentence before the prompt, as in CounterFact's paraphrases (Meng et al. 2022)."""

    key: ClassVar[str] = "distractor"
    goal: ClassVar[str] = "Slip past the filter by starting with something unrelated."

    phrasings: int = 10
    samples: int = 2

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompt behind different sentences."""
        sentences = list(wordings()["distractors"])
        Random(f"distractor/{seed}/{fact.id}").shuffle(sentences)
        return [
            Phrasing(f"{line} {fact.prompt}", "distractors") for line in sentences[: self.phrasings]
        ], False


@dataclass(frozen=True)
class FrameAttack(Attack):
    """Question, cloze, quiz, translation, role play, list, authority, urgency: the families in turn."""

    key: ClassVar[str] = "frame"
    goal: ClassVar[str] = (
        "Talk the model into it: as a quiz, a role play, an order of the court, an emergency."
    )

    phrasings: int = 10
    samples: int = 2

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return framings of the prompt, one of each family before a second of any."""
        fact = fact.with_subject()
        random = Random(f"frame/{seed}/{fact.id}")
        families = [[(name, line) for line in lines] for name, lines in wordings()["frames"].items()]
        for lines in families:
            random.shuffle(lines)
        random.shuffle(families)
        parts = parts_of(fact)
        line = parts.get("statement") or parts.get("order") or parts.get("question") or tidy(fact.prompt)
        asked = parts.get("question") or parts.get("order") or line
        in_turn = (one for one in chain.from_iterable(zip_longest(*families)) if one)
        made = (Phrasing(f.format(line=line, asked=asked), f"frame: {name}") for name, f in in_turn)
        return list(islice((p for p in distinct(made) if acceptable(fact, p.text)), self.phrasings)), False


@dataclass(frozen=True)
class FewShotAttack(Attack):
    """Solved, well-known examples of the same relation before the prompt, in the prompt's own words."""

    key: ClassVar[str] = "few-shot"
    goal: ClassVar[str] = "Show the model a pattern of questions and answers, and let it go on."

    phrasings: int = 4
    samples: int = 5
    shots: int = 3

    @property
    def name(self) -> str:
        """The attack with its number of examples."""
        return f"few-shot ({self.shots} examples; {self.phrasings} prompts × {self.samples} samples)"

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompt behind different draws of examples."""
        random = Random(f"few-shot/{seed}/{fact.id}")
        solved = solved_examples(fact.with_subject())
        made = []
        for _ in range(4 * self.phrasings):
            shots = "\n".join(random.sample(solved, min(self.shots, len(solved))))
            made.append(Phrasing(f"{shots}\n{_lead(fact)}", "solved examples"))
        return list(islice(distinct(made), self.phrasings)), False


def _lead(fact: AuditFact) -> str:
    asked = tidy(fact.prompt)
    return asked if form_of(asked) == "statement" else f"{asked} Answer:"


def solved_examples(fact: AuditFact) -> list[str]:
    """Well-known examples that do not hold the fact's answer: the relation's, in the words of the prompt."""
    relation, lead = relation_of(fact), _lead(fact)
    if relation.name != "general" and fact.subject and fact.subject in lead:
        pairs = [(lead.replace(fact.subject, name), answer) for name, answer in relation.examples]
    else:
        pairs = [(a, b) for r in (relations()["general"],) for a, b in r.examples]
    lines = [f"{capital(asked)} {answer}." for asked, answer in pairs]
    free = [
        line
        for line in lines
        if not fact.holds_answer(line) and not any(fact.answer_holds(b) for _, b in pairs if f" {b}." in line)
    ]
    return free or [
        f"{asked} {answer}."
        for asked, answer in relations()["general"].examples
        if not fact.holds_answer(f"{asked} {answer}")
    ]
