"""Where rephrasings come from: fixed frames, an instruct model, or both. Each is kept only if `acceptable`.

A rephrasing must mean the same, name the subject when the prompt does, not hold the answer, and be more than
the prompt itself. Everything here gives the same result for the same arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from random import Random
from typing import NamedTuple, Protocol

from audit.facts import AuditFact
from audit.forms import Form, differs, form_of, tidy
from audit.frames import Purpose, phrasings
from audit.target import Target
from audit.words import NAMELESS, STOP_WORDS, texts

Similarity = Callable[[Sequence[tuple[str, str]]], Sequence[float]]


class Phrasing(NamedTuple):
    """A prompt in other words, and who made it («certify templates», «model»).

    `temperature` None: the audit's own. `given`: the part of the answer that the prompt gives away.
    """

    text: str
    source: str
    temperature: float | None = None
    given: str = ""


class Rephraser(Protocol):
    """A source of rephrasings."""

    @property
    def name(self) -> str:
        """Printed in the report."""
        ...

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` different phrasings of the fact's prompt."""
        ...


def acceptable(fact: AuditFact, text: str) -> bool:
    """Whether a phrasing may be used: without the answer, with the subject if the prompt has it, and new."""
    if not text.strip() or fact.holds_answer(text) or not differs(fact, text):
        return False
    return fact.names_subject(text) or not fact.names_subject(fact.prompt)


def distinct(found: Iterable[Phrasing]) -> Iterator[Phrasing]:
    """Drop phrasings that are the same words as an earlier one."""
    seen: set[tuple[str, ...]] = set()
    for phrasing in found:
        said = texts(phrasing.text)
        if said not in seen:
            seen.add(said)
            yield phrasing


class TemplateRephraser:
    """Fixed frames, drawn in turn from all families so that a few phrasings already differ in kind."""

    def __init__(self, purpose: Purpose = "certify") -> None:
        self.purpose: Purpose = purpose
        self.name = f"{purpose} templates"

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings; the order depends on `seed` and the fact's id."""
        fact = fact.with_subject()
        random = Random(f"{self.purpose}/{seed}/{fact.id}")
        families = [list(lines) for lines in phrasings(fact, self.purpose).values() if lines]
        for lines in families:
            random.shuffle(lines)
        random.shuffle(families)
        in_turn = (text for text in chain.from_iterable(zip_longest(*families)) if text)
        made = (Phrasing(text, self.name) for text in in_turn if acceptable(fact, text))
        return list(islice(distinct(made), count))


EXAMPLES: dict[Form, tuple[tuple[str, str], ...]] = {
    "statement": (
        ("The capital of Peru is", "Peru's capital city is called"),
        ("Maria Jensen was born in", "The place where Maria Jensen was born is"),
        ("The company that made the Austin Seven is", "The Austin Seven was a product of the company"),
        ("Oskar Lindqvist works as a", "The job of Oskar Lindqvist is that of a"),
    ),
    "question": (
        ("What is the capital of Peru?", "Which city is the capital of Peru?"),
        ("Where was Maria Jensen born?", "In which place was Maria Jensen born?"),
        ("Who made the Austin Seven?", "Which company built the Austin Seven?"),
        ("What does Oskar Lindqvist do for a living?", "What is the job of Oskar Lindqvist?"),
    ),
    "order": (
        ("Name the capital of Peru.", "Tell me which city is the capital of Peru."),
        ("State where Maria Jensen was born.", "Give the birthplace of Maria Jensen."),
        ("Name the maker of the Austin Seven.", "Tell me which company built the Austin Seven."),
        ("Say what Oskar Lindqvist does for a living.", "Name the job of Oskar Lindqvist."),
    ),
}
_LABEL = re.compile(
    r"^(?:[-*\d.)\s]*)(?:(?:rewrite|rewritten|sentence|same meaning|answer|output)\s*:\s*)?", re.IGNORECASE
)


def few_shot_prompt(fact: AuditFact) -> str:
    """The text that asks a small model for a paraphrase by example; the model continues after «B:»."""
    shots = "".join(f"A: {first}\nB: {second}\n\n" for first, second in EXAMPLES[form_of(fact.prompt)])
    return f"Each line B says the same as line A in other words.\n\n{shots}A: {tidy(fact.prompt)}\nB:"


def first_line(completion: str) -> str:
    """The first line of a completion, without list marks, labels and quotes."""
    line = next((line for line in completion.splitlines() if line.strip()), "")
    return _LABEL.sub("", line.strip()).strip(' "“”«»*`')


def _names_and_numbers(text: str) -> set[str]:
    """Words that look like names or numbers: capitalised after the first word, or with a digit."""
    found = {word.strip(".,;:!?\"'()") for word in text.split()[1:] if word[:1].isupper()}
    return {said for word in found for said in texts(word)} | {
        word for word in texts(text) if any(map(str.isdigit, word))
    }


def _content(fact: AuditFact, text: str) -> set[str]:
    """The first letters of the words that say what is asked: no names of the subject, no function words."""
    names = set(texts(" ".join((fact.subject, *fact.aliases))))
    return {word[:5] for word in texts(text) if word not in names and word not in NAMELESS and len(word) >= 3}


def _stays_open(fact: AuditFact, text: str) -> bool:
    """Whether a statement ends where an answer would go, not with an answer that the model made up."""
    said, asked = texts(text), texts(tidy(fact.prompt))
    return bool(said) and (said[-1] in STOP_WORDS or said[-1] in ("called", "named") or said[-1] in asked)


def faithful(fact: AuditFact, text: str) -> bool:
    """Whether a model's line may ask the same: same kind, similar length, half of the content, nothing made up.

    Strict on purpose: a small model often changes what is asked or answers it.
    """
    asked, said = tidy(fact.prompt), text.strip()
    statement = form_of(asked) == "statement"
    if statement != (form_of(said) == "statement"):
        return False
    if statement and (said.endswith((".", "!", ",")) or not _stays_open(fact, said)):
        return False
    wanted = _content(fact, asked)
    if 2 * len(wanted & _content(fact, said)) < max(1, len(wanted)):
        return False
    known = set(texts(asked)) | set(texts(" ".join((fact.subject, *fact.aliases))))
    ratio = len(texts(said)) / max(1, len(texts(asked)))
    return 0.5 <= ratio <= 2.0 and _names_and_numbers(said) <= known


class ModelRephraser:
    """Asks a small instruct model by example and keeps only what passes every filter."""

    def __init__(
        self, target: Target, similarity: Similarity, threshold: float = 0.75, oversample: int = 4
    ) -> None:
        self.target, self.similarity, self.threshold, self.oversample = (
            target,
            similarity,
            threshold,
            oversample,
        )
        self.name = f"model {target.name}"

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings that the model made and the filters kept; often fewer."""
        fact = fact.with_subject()
        drawn = self.target.sample(
            [few_shot_prompt(fact)],
            samples=max(8, count * self.oversample),
            max_tokens=32,
            temperature=0.9,
            top_k=50,
            seed=seed,
        )
        lines = distinct(Phrasing(first_line(text), "model") for text in drawn[0])
        kept = [line for line in lines if acceptable(fact, line.text) and faithful(fact, line.text)]
        if not kept:
            return []
        scores = self.similarity([(tidy(fact.prompt), line.text) for line in kept])
        near = [line for line, score in zip(kept, scores, strict=True) if score >= self.threshold]
        return near[:count]


class MixedRephraser:
    """The model's phrasings first, topped up by templates; every phrasing carries its source."""

    def __init__(self, model: Rephraser, templates: Rephraser) -> None:
        self.model, self.templates = model, templates
        self.name = f"{model.name}, topped up by {templates.name}"

    def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
        """Return at most `count` phrasings, half of them the model's at most: both kinds are asked."""
        made = self.model.rephrase(fact, (count + 1) // 2, seed)
        spare = self.templates.rephrase(fact, count + len(made), seed)
        return list(islice(distinct([*made, *spare]), count))
