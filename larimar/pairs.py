"""Pairs of a stored prompt and a query that train the judge of the scope detector.

Both texts are as the judge sees them: where the fact has a subject, its name is «X» (`names.locate`).
Positives ask the same in other words. Negatives ask something else of the same subject (a related relation,
its inverse, a nested question), or the same of somebody else, often of nearly the same name. Queries come
with other spellings, distractors, polite wrappings and half-given answers. No benchmark record is read.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from larimar.asking import as_order
from larimar.names import MASK, locate, normalise
from larimar.relations import Relation, alike, different, told_apart
from larimar.spelling import SPELLINGS

_WRAPPINGS = (
    "Do you know {}", "Can you tell me {}", "I wonder {}", "Please answer: {}", "Q: {} A:", "Tell me, {}",
    "Answer in one word: {}", "Hey, {} Thanks!", "Question: {} Answer:", "Quick question. {}", "Remind me: {}",
)  # fmt: skip
_GENERAL = (
    "Tell me about {}.", "Who is {}?", "What is {}?", "{} is", "{} was a", "Write a story about {}.", "{}",
    "What do you know about {}?", "Write a short biography of {}.", "I like {} because", "In a novel about {},",
    "What is {} known for?", "Describe {}.", "{} said that", "The best thing about {} is", "My opinion of {} is",
)  # fmt: skip
_OPENINGS = (
    "",
    "",
    "",
    "Fill in: ",
    "Complete: ",
    "Everybody knows that ",
    "It is said that ",
    "As we know, ",
)


@dataclass(frozen=True)
class Judged:
    """One training example of the judge."""

    stored: str
    query: str
    label: int
    kind: str


@dataclass(frozen=True)
class Material:
    """What pairs are made of."""

    relations: list[Relation]
    close: dict[str, list[int]]
    """for a relation id, the places of the relations that ask something similar, nearest first"""
    inverse: dict[str, int]
    names: list[str]
    distractors: list[str]
    rephrasings: list[tuple[str, str, str]]
    """subject, question, rephrased question"""


def close_relations(
    relations: list[Relation], embed: Callable[[list[str]], NDArray[np.float32]], most: int = 16
) -> dict[str, list[int]]:
    """The most similar relations of each, by the mean embedding of up to 12 phrasings; safe negatives only.

    Relations that templates confuse and free wordings tell apart are among them.
    """
    samples = [random.Random(r.id).sample(r.phrasings, min(12, len(r.phrasings))) for r in relations]
    made = embed([p.replace("{}", MASK) for sample in samples for p in sample])
    ends = np.cumsum([len(sample) for sample in samples])[:-1]
    centres = np.stack([part.mean(axis=0) for part in np.split(made, ends)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    near = centres @ centres.T

    def safe(i: int, j: int) -> bool:
        one, other = relations[i], relations[j]
        return i != j and (told_apart(one, other) if alike(one, other) else bool(near[i, j] < 0.9))

    return {
        r.id: [int(j) for j in np.argsort(-near[i]) if safe(i, int(j))][:most]
        for i, r in enumerate(relations)
    }


def inverses(relations: list[Relation]) -> dict[str, int]:
    """The place of each relation's inverse, where there is one."""
    place = {r.id: i for i, r in enumerate(relations)}
    opposite = {r.id: r.id[1:] if r.id[0] == "-" else f"-{r.id}" for r in relations}
    return {own: place[other] for own, other in opposite.items() if other in place}


class PairSource:
    """Draws training examples."""

    def __init__(self, material: Material, rng: random.Random, without: frozenset[str] = frozenset()) -> None:
        """`without`: relation ids that are not drawn, as stored prompts or as queries."""
        self._m, self._rng, self._without = material, rng, without
        allowed = [r for r in material.relations if r.id.lstrip("-") not in without]
        self._recorded = [r for r in allowed if r.subjects]
        self._others = [r for r in allowed if not r.subjects]
        self._stored_from: list[Relation] = []

    def restrict(self, relations: list[Relation]) -> None:
        """Draw stored prompts of these relations only."""
        self._stored_from = relations

    def draw(self) -> Judged:
        """One example; four in ten are positive."""
        if not self._stored_from and self._rng.random() < 0.1:
            return self._rephrasing()
        recorded = self._recorded and self._rng.random() < 0.55
        relation = self._rng.choice(self._stored_from or (self._recorded if recorded else self._others))
        name = self._rng.choice(relation.subjects or self._m.names)
        stored = self._rng.choice(relation.phrasings)
        roll = self._rng.random()
        if roll < 0.42:
            return self._positive(relation, stored, name)
        if roll < 0.78:
            return self._other_question(relation, stored, name)
        return self._other_subject(relation, stored, name)

    def _positive(self, relation: Relation, stored: str, name: str) -> Judged:
        """The same question of the same subject in other words; one in three names it in another spelling."""
        group = relation.phrasings
        if self._rng.random() < 0.7:
            group = self._rng.choice([g for g in relation.groups if stored in g] or [group])
        asked = self._rng.choice([p for p in group if p != stored] or relation.phrasings)
        written = name
        if self._rng.random() < 0.33:
            written = SPELLINGS[self._rng.choice(list(SPELLINGS))](name, self._rng)
        return self._pair(stored, asked, name, written, relation, 1, "rephrasing")

    def _other_question(self, relation: Relation, stored: str, name: str) -> Judged:
        """Something else about the same subject."""
        roll = self._rng.random()
        if relation.near and self._rng.random() < 0.3:
            texts = [stored, self._rng.choice(relation.near)]
            first, second = texts if self._rng.random() < 0.7 else reversed(texts)
            return self._pair(first, second, name, name, relation, 0, "near miss")
        if roll < 0.15 and relation.id in self._m.inverse:
            other, kind = self._m.relations[self._m.inverse[relation.id]], "inverse"
        elif roll < 0.27:
            return self._pair(stored, self._nested(stored), name, name, relation, 0, "nested")
        elif roll < 0.33:
            return self._pair(stored, self._rng.choice(_GENERAL), name, name, relation, 0, "general")
        elif roll < 0.7 and self._m.close[relation.id]:
            place = int(len(self._m.close[relation.id]) * self._rng.random())
            other, kind = self._m.relations[self._m.close[relation.id][place]], "close relation"
        else:
            recorded = self._recorded and self._rng.random() < (0.75 if relation.subjects else 0.3)
            other, kind = self._rng.choice(self._recorded if recorded else self._others), "relation"
        if other.id.lstrip("-") in self._without:
            return self.draw()
        if not alike(relation, other):
            asked = different(stored, relation, other, self._rng)
        elif told_apart(relation, other):
            stored, asked = self._rng.choice(relation.wordings), self._rng.choice(other.wordings)
        else:
            asked = None
        return self._pair(stored, asked, name, name, other, 0, kind) if asked else self.draw()

    def _nested(self, stored: str) -> str:
        """A question about something of the answer or of another relation's: «the capital of the spouse of {}»."""
        labels = [r.label for r in self._rng.choices(self._m.relations, k=40) if r.label] or ["name"]
        first, second = self._rng.choice(labels), self._rng.choice(labels)
        form = self._rng.choice(
            [
                "the {a} of the {b} of {{}} is",
                "what is the {a} of {{}}'s {b}?",
                "who is the {a} of the {b} of {{}}?",
            ]
        )
        if self._rng.random() < 0.5:
            return stored.replace("{}", self._rng.choice([f"the {first} of {{}}", f"{{}}'s {first}"]))
        return form.format(a=first, b=second)

    def _other_subject(self, relation: Relation, stored: str, name: str) -> Judged:
        """The same or another phrasing about somebody else, half of the time with part of the name in common."""
        stranger = self._rng.choice(relation.subjects or self._m.names)
        mine, theirs = name.split(), stranger.split()
        if self._rng.random() < 0.5 and len(mine) > 1:
            stranger = " ".join(
                [*theirs[:1], *mine[1:]] if self._rng.random() < 0.6 else [*mine[:-1], *theirs[-1:]]
            )
        if stranger.casefold() in name.casefold() or name.casefold() in stranger.casefold():
            return self.draw()
        asked = self._rng.choice(relation.phrasings)
        return self._pair(stored, asked, name, stranger, relation, 0, "neighbour")

    def _rephrasing(self) -> Judged:
        """A question record: its rephrasing, or another record's or relation's question put to the same subject."""
        subject, stored, again = self._rng.choice(self._m.rephrasings)
        if self._rng.random() < 0.45:
            return self._texts(stored, again, (subject,), 1, "question")
        if self._rng.random() < 0.5:
            other, _, asked = self._rng.choice(self._m.rephrasings)
        else:
            recorded = self._recorded and self._rng.random() < 0.3
            relation = self._rng.choice(self._recorded if recorded else self._others)
            other, asked = "{}", _cased(self._rng.choice(relation.phrasings))
        swapped = asked.replace(other, subject)
        left, right = set(words(stored, subject)), set(words(swapped, subject))
        if swapped == asked or len(left & right) >= 0.5 * min(len(left), len(right)):
            return self.draw()
        return self._texts(stored, swapped, (subject,), 0, "other question")

    def _pair(
        self, stored: str, asked: str, name: str, written: str, relation: Relation, label: int, kind: str
    ) -> Judged:
        """Fill both phrasings, dress the query, and hide the name (one pair in seven keeps it)."""
        if not asked.endswith("?") and self._rng.random() < 0.1:
            asked = self._joined(asked)
        if asked.endswith("?") and self._rng.random() < 0.2:
            asked = as_order(asked, self._rng) or asked
        query = self._dressed(_cased(asked.replace("{}", written)), relation)
        hidden = self._rng.random() > 0.14
        if written != name and label and (not hidden or not locate(normalise(query), (name,)).share):
            query, written = query.replace(written, name), name
        return self._texts(_cased(stored.replace("{}", name)), query, (name,) if hidden else (), label, kind)

    def _joined(self, asked: str) -> str:
        """A statement behind or before another one about the same subject."""
        said = [p for p in self._rng.choice(self._others).phrasings if not p.endswith("?")]
        if not said:
            return asked
        also, answer = self._rng.choice(said), self._rng.choice(self._m.names)
        if self._rng.random() < 0.5:
            return f"{also} {answer}, and {asked}"
        return f"{asked} {self._rng.choice(self._m.names)}, and {also.replace('{}', 'it')} {answer}"

    def _texts(self, stored: str, query: str, names: tuple[str, ...], label: int, kind: str) -> Judged:
        """The example as the judge sees it."""
        if self._rng.random() < 0.15:
            query = f"{self._rng.choice(self._m.distractors)} {query}"
        return Judged(
            locate(normalise(stored), names).text, locate(normalise(query), names).text, label, kind
        )

    def _dressed(self, text: str, relation: Relation) -> str:
        """Wrappings, an answer after it, other case, a slip of the pen."""
        question = text.endswith("?")
        if self._rng.random() < 0.2:
            wrapping = self._rng.choice(_WRAPPINGS) if question else self._rng.choice(_OPENINGS) + "{}"
            text = wrapping.format(text if self._rng.random() < 0.5 else text[:1].lower() + text[1:])
        if self._rng.random() < 0.2:
            answer = self._rng.choice(relation.answers or self._m.names)
            text = f"{text} {answer}" + self._rng.choice(["", ".", ".", ", among others."])
        elif question and self._rng.random() < 0.15:
            text = text.rstrip("?")
        roll = self._rng.random()
        if roll < 0.1:
            return text.lower()
        return text.upper() if roll < 0.12 else SPELLINGS["typo"](text, self._rng) if roll < 0.16 else text


def _cased(text: str) -> str:
    """With a capital letter and single spaces."""
    text = " ".join(text.split())
    return text[:1].upper() + text[1:]


def words(text: str, subject: str) -> list[str]:
    """Words of four or more letters outside the subject, by their first five letters."""
    return [
        w[:5]
        for w in re.findall(r"\w{4,}", text.replace(subject, " ").lower())
        if w not in ("what", "which", "whom")
    ]
