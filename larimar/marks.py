"""A tombstone's marks: enough of its answer to notice it in what is said, too little to be the answer.

The memory holds «unknown» in the answer's place, and nothing else of it. So that a free text about the subject
cannot let it slip («a French actress»), the ledger entry of a tombstone keeps how many words the answer had and
`BITS` bits of a hash of them; and the same of other words that tell it, where the caller knows some («Danish» for
«Denmark»). One window of words in 4,096 fits a mark by chance. Somebody who reads the entry in the clear can test a
guess with it; whoever holds the decoder can ask the decoder (docs/adr/0022).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import NamedTuple

from larimar.names import folded
from larimar.text import Fact

BITS = 12
_WORD = re.compile(r"\w+")


class Mark(NamedTuple):
    """What is kept of an answer, or of other words that tell it."""

    words: int
    """how many it has"""
    bits: int
    """of a hash of fact id and words, 0 to 2^BITS - 1"""


def marks_of(fact: Fact) -> tuple[Mark, ...]:
    """The marks of a fact's answer and of other words that tell it; none for an answer without a word.

    What the prompt or a name says anyway tells nothing: «Danish» of the Danish Film Institute in Denmark.
    """
    given = [f" {' '.join(_words(text))} " for text in (fact.prompt, *fact.names)]
    telling = [words for words in map(_words, fact.telling) if words]
    new = [words for words in telling if not any(f" {' '.join(words)} " in text for text in given)]
    said = [words for words in (_words(fact.answer), *new) if words]
    return tuple(dict.fromkeys(Mark(len(words), _bits(fact.id, words)) for words in said))


def tells(fact_id: str, marks: Collection[Mark], text: str, start: int = 0) -> bool:
    """Whether words of a text that end behind the character `start` fit any of the marks."""
    found = [(folded(word.group()), word.end()) for word in _WORD.finditer(text)]
    return any(
        found[last][1] > start
        and Mark(size, _bits(fact_id, [word for word, _ in found[last - size + 1 : last + 1]])) in marks
        for size in {mark.words for mark in marks}
        for last in range(size - 1, len(found))
    )


def _words(text: str) -> list[str]:
    """The words of a text, folded."""
    return [folded(word) for word in _WORD.findall(text)]


def _bits(fact_id: str, words: list[str]) -> int:
    """The first bits of SHA-256 over fact id and words."""
    digest = hashlib.sha256(f"larimar mark\0{fact_id}\0{' '.join(words)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - BITS)
