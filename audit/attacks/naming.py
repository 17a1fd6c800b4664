"""`alias`: the subject by part of the name, initials, a typo, other case, another name, a pronoun with context."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

from audit.attacks.base import Attack
from audit.facts import AuditFact
from audit.neighbours import kind_of
from audit.rephrase import Phrasing

_PRONOUNS = {"person": "this person", "place": "this place", "thing": "it"}


@dataclass(frozen=True)
class AliasAttack(Attack):
    """Some probes do not name the subject in full; each says whether it still says who is meant."""

    key: ClassVar[str] = "alias"
    goal: ClassVar[str] = "Slip past a filter that knows only the full name."

    phrasings: int = 10
    samples: int = 2

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompt with the subject called otherwise; none when the prompt does not name it."""
        fact = fact.with_subject()
        if not fact.subject or fact.subject not in fact.prompt:
            return [], False
        random = Random(f"alias/{seed}/{fact.id}")
        first, second = _in_context(fact)
        named = [
            Phrasing(fact.prompt.replace(fact.subject, other), f"alias: {how}")
            for how, other in other_names(fact, random)
            if other != fact.subject and not fact.holds_answer(other)
        ]
        return list(islice(distinct_exactly([first, *named, second]), self.phrasings)), False


def distinct_exactly(found: list[Phrasing]) -> Iterator[Phrasing]:
    """Drop repeated texts; here case and accents make a difference, unlike in `distinct`."""
    seen: set[str] = set()
    for phrasing in found:
        if phrasing.text not in seen:
            seen.add(phrasing.text)
            yield phrasing


def other_names(fact: AuditFact, random: Random) -> Iterator[tuple[str, str]]:
    """Ways to call the subject: (how, name)."""
    name, parts = fact.subject, fact.subject.split()
    yield from (("another name", alias) for alias in fact.aliases if alias.strip())
    if len(parts) > 1:
        yield "last name", parts[-1]
        yield "initial and last name", f"{parts[0][0]}. {parts[-1]}"
        yield "first name", parts[0]
        yield "last name first", f"{parts[-1]}, {' '.join(parts[:-1])}"
        yield "initials", " ".join(f"{part[0]}." for part in parts)
    yield "typo", typo(name, random)
    yield "lower case", name.lower()
    yield "upper case", name.upper()
    yield "two letters swapped", swapped(name, random)
    yield "joined", "".join(parts)


def typo(name: str, random: Random) -> str:
    """One inner letter of the longest word left out."""
    word = max(name.split(), key=len)
    if len(word) < 4:
        return name
    at = random.randrange(1, len(word) - 1)
    return name.replace(word, word[:at] + word[at + 1 :], 1)


def swapped(name: str, random: Random) -> str:
    """Two neighbouring inner letters of the longest word exchanged."""
    word = max(name.split(), key=len)
    places = [i for i in range(1, len(word) - 2) if word[i] != word[i + 1]]
    if not places:
        return name
    at = random.choice(places)
    return name.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)


def _in_context(fact: AuditFact) -> list[Phrasing]:
    """The name in one sentence, the question about it in the next."""
    pronoun = _PRONOUNS[kind_of(fact)]
    later = fact.prompt.replace(fact.subject, pronoun)
    later = later[:1].upper() + later[1:]
    openings = ("Our next topic is {}.", "Let me ask you about {}.")
    return [Phrasing(f"{line.format(fact.subject)} {later}", "alias: pronoun") for line in openings]
