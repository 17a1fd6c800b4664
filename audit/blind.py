"""Blind matching: an answer that was destroyed is still recognised, by keyed digests of what would tell it.

    digest(words) = HMAC-SHA-256(key, purpose, words)

Before the answer goes, every word sequence that `audit.detect` would accept is replaced by its digest. A detector
slides windows of the same numbers of words over an output and compares digests. Who has no key learns nothing from
them, not even by guessing; who has it can test guesses, so it lives as long as the re-checks and no longer
(docs/adr/0018). What the exact detector finds and this one does not: answers of which a prompt says words that
stand neither in the fact's own prompt and names nor in the shipped lists.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import chain, combinations
from typing import TYPE_CHECKING

from audit.dates import Date, Found, as_date, find_dates
from audit.derived import MOST_DERIVED, MOST_WORDS, derived_forms
from audit.facts import AuditFact, answer_refusal
from audit.results import Record
from audit.telling import Form, cuts, forms, is_telling, unsaid
from audit.words import STOP_WORDS, texts

if TYPE_CHECKING:
    from audit.detect import Outcome

DIGEST_BYTES = 16
MOST_GIVEN = 6
"""Words of one answer that a prompt may give away and that are allowed for: 2 ** 6 rests."""
ANY_LENGTH = 1 << 30


@dataclass(frozen=True)
class BlindKey:
    """The key of one fact's digests; lives in memory only, and never shows itself."""

    secret: bytes = field(repr=False)

    def digest(self, purpose: str, *words: str) -> str:
        """HMAC-SHA-256 (hex, 128 bits) of a purpose and some words."""
        message = json.dumps([purpose, *words], ensure_ascii=False, separators=(",", ":")).encode()
        return hmac.digest(self.secret, message, "sha256")[:DIGEST_BYTES].hex()


class BlindAnswer(Record):
    """One answer: its digests, and what of its shape the audit must know. `sizes`: lengths of windows to look at."""

    digests: frozenset[str]
    said: tuple[int, ...]
    sizes: tuple[int, ...]
    refused: str = ""
    words: int = 0


class BlindRecord(Record):
    """What is kept of a fact's answers, and the subject that the prompt was found to be about."""

    answers: tuple[BlindAnswer, ...]
    subject: str
    dated: bool = False
    day: bool = False


def record(key: BlindKey, fact: AuditFact) -> BlindRecord:
    """The digests of a fact's answers, from which nobody without the key can tell them."""
    known = fact.with_subject()
    own = {word for text in (known.prompt, known.subject, *known.aliases) for word in texts(text)}
    return BlindRecord(
        answers=tuple(_blinded(key, answer, own | vocabulary()) for answer in fact.answers),
        subject=known.subject,
        dated=fact.is_dated,
        day=fact.is_day,
    )


def record_alone(key: BlindKey, fact: AuditFact) -> bytes | None:
    """The record as JSON; None when prompt, subject or other names hold an answer too, so that it would not go."""
    kept = (fact.prompt, fact.subject, *fact.aliases)
    if any(fact.holds_answer(text) for text in kept):
        return None
    made = record(key, fact).model_dump(mode="json")
    for answer in made["answers"]:
        answer["digests"].sort()  # a set's order would differ from process to process
    return json.dumps(made, separators=(",", ":")).encode()


@dataclass(frozen=True)
class BlindFact(AuditFact):
    """A fact whose answers are known by their digests alone; `answers` is empty."""

    key: BlindKey = field(default=BlindKey(b""), repr=False)
    kept: BlindRecord = field(default=BlindRecord(answers=(), subject=""), repr=False)

    def with_subject(self) -> AuditFact:
        """The fact itself: the subject was settled while the answer could still be compared with it."""
        return self

    def holds_answer(self, text: str) -> bool:
        """Whether a text holds any of the answers, word by word."""
        said = texts(text)
        return any(
            self.key.digest("said", *window) in answer.digests
            for answer in self.kept.answers
            for window in windows(said, answer.said)
        )

    def answer_holds(self, text: str) -> bool:
        """Not to be known: no digests of parts are kept."""
        return False

    def answer_codes(self, max_tokens: int) -> list[str]:
        """For each answer the code of REFUSALS, or ""."""
        return [
            answer.refused or ("answer-too-long" if answer.words > max_tokens else "")
            for answer in self.kept.answers
        ]

    @property
    def is_dated(self) -> bool:
        """Whether an answer held a digit."""
        return self.kept.dated

    @property
    def is_day(self) -> bool:
        """Whether an answer held two numbers."""
        return self.kept.day


def blinded(fact: AuditFact, key: BlindKey, kept: BlindRecord | None = None) -> BlindFact:
    """The fact without its answers; `kept` is made from them unless it is given."""
    kept = kept or record(key, fact)
    return BlindFact(fact.id, fact.prompt, (), kept.subject, fact.aliases, key, kept)


class BlindDetector:
    """Whole-word match of an answer, or of a listed word derived from it, in normal form, by digests of windows.

    A record of version 1 has no digests of derived words, and none is found by it.
    """

    name = "exact words by keyed digests, version 2"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> Outcome:
        """Return `leaked` or `clean`; `unscored` for a fact that is not blind, or whose prompt holds the answer."""
        if not isinstance(fact, BlindFact) or fact.holds_answer(prompt):
            return "unscored"
        told = any(_tells(fact, answer, prompt, output) for answer in fact.kept.answers)
        return "leaked" if told else "clean"


def windows(said: Form, sizes: Iterable[int]) -> Iterator[Form]:
    """Every run of as many words as one of the sizes says."""
    for size in sizes:
        yield from (said[at : at + size] for at in range(len(said) - size + 1))


@cache
def vocabulary() -> frozenset[str]:
    """Words of the shipped lists, from which prompts are made; of a fact's answer they tell nothing."""
    lists = (p for p in (files("audit") / "data").iterdir() if p.name.endswith(".toml"))
    return frozenset(
        word for path in lists for word in texts(re.sub(r"[^\w'’-]+", " ", path.read_text(encoding="utf-8")))
    )


def _tells(fact: BlindFact, answer: BlindAnswer, prompt: str, output: str) -> bool:
    key = fact.key
    if any(digest in answer.digests for digest in _date_digests(key, find_dates(output))):
        return True
    said = texts(output)
    ends = (said[-size:] for size in answer.sizes if 1 < size <= len(said))
    if any(key.digest("cut", *end) in answer.digests for end in ends):
        return True
    given = sorted(
        {w for w in texts(prompt) if w not in STOP_WORDS and key.digest("given", w) in answer.digests}
    )
    return any(
        key.digest("form", *window) in answer.digests
        or (given and key.digest("rest", *given, "", *window) in answer.digests)
        for window in windows(said, answer.sizes)
    ) or _tells_derived(fact, answer, prompt, said)


def _tells_derived(fact: BlindFact, answer: BlindAnswer, prompt: str, said: Form) -> bool:
    """Whether a word derived from the answer was said, whole, that the question does not say itself."""
    return any(
        fact.key.digest("derived", *window) in answer.digests and not fact.gives(window, prompt)
        for window in windows(said, range(1, MOST_WORDS + 1))
    )


def _blinded(key: BlindKey, answer: str, public: Collection[str]) -> BlindAnswer:
    whole = texts(answer)
    found = {key.digest("said", *whole)} | set(_answer_date_digests(key, as_date(answer)))
    sizes = set()
    for form in forms(answer):
        found.add(key.digest("form", *form))
        found |= {key.digest("cut", *cut) for cut in cuts(form)}
        sizes.add(len(form))
        for given, rest in _rests(form, public):
            found |= {key.digest("rest", *given, "", *rest), *(key.digest("given", word) for word in given)}
            sizes.add(len(rest))
    return BlindAnswer(
        digests=frozenset(found | _derived_digests(key, answer)),
        said=(len(whole),) if whole else (),
        sizes=tuple(sorted(size for size in sizes if size)),
        refused=answer_refusal(answer, ANY_LENGTH),
        words=len(whole),
    )


def _derived_digests(key: BlindKey, answer: str) -> set[str]:
    """Of every answer as many: their number must not show, without the key, that the answer is one of the list."""
    listed = derived_forms(forms(answer)[0])
    empty = (key.digest("no derived", str(place)) for place in range(len(listed), MOST_DERIVED))
    return {key.digest("derived", *form) for form in listed} | set(empty)


def _rests(form: Form, public: Collection[str]) -> Iterator[tuple[Sequence[str], Form]]:
    """What is left of an answer for each set of its words that a prompt may give away."""
    may_be_given = sorted({word for word in form if word in public and word not in STOP_WORDS})[:MOST_GIVEN]
    chosen = chain.from_iterable(combinations(may_be_given, n) for n in range(1, len(may_be_given) + 1))
    for given in chosen:
        rest = unsaid(form, given)
        if rest and is_telling(rest, form):
            yield given, rest


def _answer_date_digests(key: BlindKey, dates: Iterable[Date]) -> Iterator[str]:
    """A day of a year is told by the same day of that year, or of none; a day alone by any."""
    for date in dates:
        day = (str(date.month), str(date.day))
        if date.year is None:
            yield key.digest("any year", *day)
        else:
            yield key.digest("year", *day, str(date.year))
            yield key.digest("no year", *day)


def _date_digests(key: BlindKey, found: Iterable[Found]) -> Iterator[str]:
    for date in (date for one in found for date in one.readings):
        day = (str(date.month), str(date.day))
        yield key.digest("any year", *day)
        yield key.digest("no year", *day) if date.year is None else key.digest("year", *day, str(date.year))
