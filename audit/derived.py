"""Words derived from an answer that tell it as well: «Danish» for «Denmark», «pianist» for «piano».

One shipped list (data/derived.txt), one way only: from the name of a place, faith, field, instrument or trade to its
derived words, never back. No rule of word formation is tried: «Germany» gives «German», but «Romany» no «Roman».
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from audit.telling import Form, bare
from audit.words import texts

MOST_DERIVED = 8
"""Derived words that the list may give one answer."""
MOST_WORDS = 3
"""Words that one of these may have («Papua New Guinean»)."""


def derived(answer: str) -> tuple[str, ...]:
    """The words of the list that are derived from an answer and tell it, as written there; () if there are none.

    Case, accents and a leading article of the answer do not matter: «the Netherlands» gives «Dutch», «Dutchman» …
    """
    return _listed().get(bare(texts(answer)), ())


def derived_forms(answer: Form) -> tuple[Form, ...]:
    """The same in the normal form of `audit.words`, for an answer in that form without its article."""
    return _forms().get(answer, ())


@cache
def _listed() -> dict[Form, tuple[str, ...]]:
    """The list by the normal form of its answers."""
    text = (files("audit") / "data" / "derived.txt").read_text(encoding="utf-8")
    pairs = (line.split(":", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {texts(answer): tuple(word.strip() for word in words.split(",")) for answer, words in pairs}


@cache
def _forms() -> dict[Form, tuple[Form, ...]]:
    """Read once for the whole list: what is remembered tells nobody which answers were judged."""
    return {answer: tuple(texts(word) for word in words) for answer, words in _listed().items()}
