"""A tombstone's mark: enough of its answer to notice it in what is said, too little to be the answer.

The memory holds «unknown» in the answer's place, and nothing else of it. So that a free text about the subject
cannot let it slip («a French actress»), the ledger entry of a tombstone keeps how many words the answer had and
`BITS` bits of a hash of them. One window of words in 4,096 fits by chance. Somebody who reads the entry in the clear
can test a guess with it; whoever holds the decoder can ask the decoder (docs/adr/0022).
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from larimar.names import folded

BITS = 12
_WORD = re.compile(r"\w+")


class Mark(NamedTuple):
    """What is kept of an answer."""

    words: int
    """how many it has"""
    bits: int
    """of a hash of fact id and words, 0 to 2^BITS - 1"""


def mark_of(fact_id: str, answer: str) -> Mark | None:
    """The mark of an answer; None where it has no word."""
    words = [folded(word) for word in _WORD.findall(answer)]
    return Mark(len(words), _bits(fact_id, words)) if words else None


def tells(fact_id: str, mark: Mark, text: str, start: int = 0) -> bool:
    """Whether words of a text that end behind the character `start` fit the mark."""
    found = [(folded(word.group()), word.end()) for word in _WORD.finditer(text)]
    return any(
        found[last][1] > start
        and _bits(fact_id, [word for word, _ in found[last - mark.words + 1 : last + 1]]) == mark.bits
        for last in range(mark.words - 1, len(found))
    )


def _bits(fact_id: str, words: list[str]) -> int:
    """The first bits of SHA-256 over fact id and words."""
    digest = hashlib.sha256(f"larimar mark\0{fact_id}\0{' '.join(words)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - BITS)
