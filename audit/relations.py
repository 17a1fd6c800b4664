"""What a prompt asks for (mother tongue, birthplace, maker …), told by its words (data/relations.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from audit.facts import AuditFact
from audit.words import find, texts


@dataclass(frozen=True)
class Relation:
    """Clues by which a prompt is recognised, words that may ask for it as well, questions that imply its answer, and
    well-known solved examples.
    """

    name: str
    clues: tuple[str, ...]
    vague: tuple[str, ...]
    hops: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]

    @cached_property
    def clue_words(self) -> list[tuple[str, ...]]:
        """The words of each clue."""
        return [texts(clue) for clue in self.clues]

    @cached_property
    def vague_words(self) -> list[tuple[str, ...]]:
        """The words of each vague one."""
        return [texts(phrase) for phrase in self.vague]


@cache
def relations() -> dict[str, Relation]:
    """Every relation by name; `general` stands last and fits everything."""
    data = tomllib.loads((files("audit") / "data" / "relations.toml").read_text(encoding="utf-8"))
    return {
        name: Relation(
            name,
            tuple(row["clues"]),
            tuple(row.get("vague", ())),
            tuple(row["hops"]),
            tuple((a, b) for a, b in row["examples"]),
        )
        for name, row in data.items()
    }


def relation_of(fact: AuditFact) -> Relation:
    """The first relation with a clue in the prompt outside the subject's name; else `general`."""
    return next(iter(asked_in(around_subject(fact))), relations()["general"])


def may_ask_in(text: str) -> list[Relation]:
    """Every relation that a text that names nobody asks for, by a clue, or may ask for, by a vague word."""
    said = texts(text)
    return [
        relation
        for relation in relations().values()
        if any(find(words, said) >= 0 for words in (*relation.clue_words, *relation.vague_words))
    ]


def around_subject(fact: AuditFact) -> str:
    """A fact's prompt without the subject's name."""
    return fact.prompt.replace(fact.subject, " ") if fact.subject else fact.prompt


def asked_in(text: str) -> list[Relation]:
    """Every relation with a clue in a text that names nobody."""
    said = texts(text)
    return [r for r in relations().values() if any(find(words, said) >= 0 for words in r.clue_words)]
