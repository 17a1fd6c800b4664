"""Fictitious facts in the form of FastFacts: nobody and nothing of them exists, so no decoder can know them.

Every name and every answer is made up of syllables from a seeded generator. A fact is asked for by its own prompt
(completion) and by a question in other words.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

RELATIONS = (
    ("The {} has its headquarters in", "In which town is the head office of the {}?", "organisation", "town"),
    ("The {} was founded by", "Who started the {}?", "organisation", "person"),
    ("The chair of the {} is", "Who presides over the {}?", "organisation", "person"),
    ("{} was born in the town of", "What is the birthplace of {}?", "person", "town"),
    ("{} is married to", "Who is the spouse of {}?", "person", "person"),
    ("{} plays for the club", "Which team does {} belong to?", "person", "club"),
    ("The river that flows through {} is the", "Which river runs through {}?", "town", "river"),
    ("The mayor of {} is", "Who governs the town of {}?", "town", "person"),
    ("The largest company in {} is the", "Which firm employs the most people in {}?", "town", "organisation"),
    ("The novel «{}» was written by", "Who is the author of «{}»?", "book", "person"),
)
"""Prompt, question in other words, kind of the subject and of the answer."""
_ONSETS = "b br d dr f fl g gr h j k kl l m n p pr r s st t tr v w z".split()
_VOWELS = "a e i o u ai ei ou".split()
_ENDS = "n r l s t nd rk m".split()
_LAST = {
    "town": "burg stead holm mouth field".split(), "river": "a en ow".split(), "club": "United Rovers City".split(),
    "organisation": "Institute Foundation Works Society Bank".split(), "book": "Winter Garden Letters".split(),
}  # fmt: skip


@dataclass(frozen=True)
class Fiction:
    """A fact about something that does not exist."""

    prompt: str
    question: str
    answer: str
    subject: str


def fictions(count: int, seed: int = 0) -> list[Fiction]:
    """`count` facts; no two share a prompt, and every subject is new."""
    draw = random.Random(seed)
    used: set[str] = set()
    made = []
    for number in range(count):
        prompt, question, about, answer = RELATIONS[number % len(RELATIONS)]
        subject = name(draw, about)
        while subject in used:
            subject = name(draw, about)
        used.add(subject)
        made.append(Fiction(prompt.format(subject), question.format(subject), name(draw, answer), subject))
    return made


def name(draw: random.Random, kind: str) -> str:
    """A name of a kind."""
    if kind == "person":
        return f"{word(draw, 2)} {word(draw, 2)}"
    last = draw.choice(_LAST[kind])
    return word(draw, 2) + (last if last.islower() else f" {last}")


def word(draw: random.Random, syllables: int) -> str:
    """A capitalised word."""
    parts = [draw.choice(_ONSETS) + draw.choice(_VOWELS) for _ in range(syllables)]
    return ("".join(parts) + draw.choice(_ENDS)).capitalize()
