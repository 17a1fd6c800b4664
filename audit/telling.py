"""What tells an answer: the word sequences that count as the answer, whole, cut short, or beside the prompt's words.

`audit.detect` compares them as they are, `audit.blind` by keyed digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from audit.words import STOP_WORDS, texts

ARTICLES = ("the", "a", "an")
SHORTEST_CUT = 3
"""Letters of an answer's last word that must be there when an output stops in the middle of it."""

Form = tuple[str, ...]


def forms(answer: str) -> list[Form]:
    """The word sequences that tell the answer: without a leading article, and with the surname first."""
    own = bare(texts(answer))
    found = [own]
    is_name = 2 <= len(own) <= 4 and all(part[:1].isupper() for part in answer.split())
    if is_name:
        found.append((own[-1], *own[:-1]))
    return found


def bare(said: Form) -> Form:
    """Without a leading article."""
    return said[1:] if len(said) > 1 and said[0] in ARTICLES else said


def unsaid(form: Form, prompt: Iterable[str]) -> Form:
    """What is left of an answer when the prompt's own words are taken away."""
    asked = frozenset(prompt)
    left = tuple(word for word in form if word in STOP_WORDS or word not in asked)
    return without_edges(left, STOP_WORDS)


def is_telling(rest: Form, form: Form) -> bool:
    """Whether what is left of an answer still tells it: something is, it is not all, and it is not one letter."""
    return rest != form and sum(map(len, rest)) > 1


def cuts(form: Form) -> Iterator[Form]:
    """The answer as an output shows it that stops within its last word."""
    if len(form) > 1:
        last = form[-1]
        yield from ((*form[:-1], last[:size]) for size in range(SHORTEST_CUT, len(last)))


def cut_short(form: Form, said: Form) -> bool:
    """Whether the output stops in the middle of the answer's last word, all others being there."""
    size = len(form)
    if size < 2 or len(said) < size or said[-size:-1] != form[:-1]:
        return False
    return len(said[-1]) >= SHORTEST_CUT and form[-1].startswith(said[-1])


def without_edges(said: Form, drop: Iterable[str]) -> Form:
    """Without the unwanted words at both ends."""
    unwanted = frozenset(drop)
    start, end = 0, len(said)
    while start < end and said[start] in unwanted:
        start += 1
    while end > start and said[end - 1] in unwanted:
        end -= 1
    return said[start:end]
