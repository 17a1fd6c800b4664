"""Prompts that a removal must leave alone: the same about others, and other things about the subject.

Names come from data/names.toml (persons, places, things); the kind is guessed from the words of the prompt.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Literal, NamedTuple

from audit.facts import AuditFact
from audit.forms import capital, tidy
from audit.relations import around_subject, asked_in, may_ask_in
from audit.words import STOP_WORDS, holds, texts

Kind = Literal["person", "place", "thing"]
KINDS: tuple[Kind, ...] = ("place", "thing", "person")

_BARE = {("in",), ("is", "in"), ("in", "is"), ("lies", "in")}
"""All that some prompts say beside the name; then it is a place's."""


@cache
def _names() -> dict[str, list[str]]:
    text = (files("audit") / "data" / "names.toml").read_text(encoding="utf-8")
    data: dict[str, list[str]] = tomllib.loads(text)
    return data


def kind_of(fact: AuditFact) -> Kind:
    """Person, place or thing, by the name («… University»), else by the words around it; a person when in doubt."""
    around = fact.prompt.replace(fact.subject, " ") if fact.subject else fact.prompt
    named = _best(fact.subject, "named")
    if named or not (fact.subject and tuple(texts(around)) in _BARE):
        return named or _best(around, "clues") or "person"
    return "place"


def _best(text: str, clues: str) -> Kind | None:
    """The kind of which a text holds most clues; None without any."""
    hits = {kind: sum(holds(text, clue) for clue in _names().get(f"{clues}-{kind}", ())) for kind in KINDS}
    best = max(KINDS, key=lambda kind: hits[kind])
    return best if hits[best] else None


def _free(fact: AuditFact, text: str) -> bool:
    """Whether a text has nothing to do with the fact: no answer and no part of the subject's names."""
    own = {
        w
        for name in (fact.subject, *fact.aliases)
        for w in texts(name)
        if len(w) >= 3 and w not in STOP_WORDS
    }
    return not own & set(texts(text)) and not fact.holds_answer(text)


def _swapped(fact: AuditFact) -> list[str]:
    """The fact's prompt about others. Empty when the prompt does not hold the subject's name as written."""
    if not fact.subject or fact.subject not in fact.prompt:
        return []
    names = [name for name in _names()[kind_of(fact)] if _free(fact, name)]
    prompts = [tidy(fact.prompt.replace(fact.subject, name)) for name in names]
    return [prompt for prompt in prompts if not fact.holds_answer(prompt)]


def neighbour_prompts(fact: AuditFact, count: int, seed: int) -> list[str]:
    """Return `count` prompts about others: three quarters the same question, the rest of any kind.

    Without a known subject all of them are of the general kind. The same arguments give the same prompts.
    """
    fact = fact.with_subject()
    random = Random(f"neighbours/{seed}/{fact.id}")
    swapped = _swapped(fact)
    general = [prompt for prompt in _names()["general"] if _free(fact, prompt)]
    random.shuffle(swapped)
    random.shuffle(general)
    near = swapped[: count - count // 4]
    return [*near, *general[: count - len(near)]]


def same_subject_prompts(
    fact: AuditFact, count: int, seed: int, removed: Sequence[AuditFact] = ()
) -> list[str]:
    """Return at most `count` other questions about the same subject; empty when the subject is not known.

    What shares a word with the fact's prompt, or asks for its relation in other words («died in» beside «passed away
    in»), is no other question. Nor is what asks for a fact of `removed`: all that goes with this one, with subjects.
    """
    fact = fact.with_subject()
    if not fact.subject:
        return []
    random = Random(f"same subject/{seed}/{fact.id}")
    asked = [_Asked.of(each) for each in (fact, *removed) if each is fact or _is_about(each, fact.subject)]
    found = []
    for line in _names()[f"about-{kind_of(fact)}"]:
        prompt = capital(line.replace("{subject}", fact.subject))
        if not any(each.may_be_asked_in(line) for each in asked) and not fact.holds_answer(prompt):
            found.append(prompt)
    random.shuffle(found)
    return found[:count]


class _Asked(NamedTuple):
    """What a fact's prompt asks for."""

    words: set[str]
    relations: set[str]

    @classmethod
    def of(cls, fact: AuditFact) -> _Asked:
        """The words of a prompt that say it, and the relations that it may ask for."""
        words = set(texts(fact.prompt)) - set(texts(fact.subject)) - STOP_WORDS
        return cls(words, {relation.name for relation in may_ask_in(around_subject(fact))})

    def may_be_asked_in(self, line: str) -> bool:
        """Whether a question that names nobody may ask for it as well; any may where nothing says what it is."""
        words, relations = _read(line)
        nothing = not (self.words or self.relations)
        return nothing or bool(self.relations & relations or self.words & words)


@cache
def _read(line: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a shipped question, and the relations that it asks for."""
    return frozenset(texts(line)) - STOP_WORDS, frozenset(relation.name for relation in asked_in(line))


def _is_about(fact: AuditFact, subject: str) -> bool:
    """Whether a name, or a part of it, is the fact's subject («Nazi Germany»: a fact about Germany answers, too)."""
    names = (fact.subject, *fact.aliases)
    return any(name.strip() and name.casefold() in subject.casefold() for name in names)
