"""A ledger entry: what is kept of one written fact, enough to forget it exactly and to rebuild the bank.

Keys are not kept: they are derived from the fact id. The form is compact, because a bank of a million facts
holds a million of them: a header, a line of JSON, then the codes (int16) and the scope vectors (float16).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from larimar.errors import InvalidInput
from larimar.given import require_texts
from larimar.index import Stored
from larimar.marks import BITS, Mark
from larimar.vectors import Floats

KINDS = ("fact", "tombstone")
_MAGIC = b"LE2\n"
_HEADER = struct.Struct("<4sB6I")
"""Magic, kind, answer tokens, tokens, d, phrasings, D, bytes of JSON."""


@dataclass(frozen=True)
class Entry:
    """One fact or tombstone as the ledger keeps it."""

    fact_id: str
    kind: str
    """`fact` or `tombstone`"""
    value: Tensor
    """(n, d) int16, the codes of the statement's n tokens"""
    answer_tokens: int
    """how many of them are the answer"""
    scope: Stored
    marks: tuple[Mark, ...] = ()
    """of a tombstone: what is kept of the answer that is not to be said, and of other words that tell it"""

    def __post_init__(self) -> None:
        """Refuse entries that no bank could hold."""
        require_texts("fact_id", [self.fact_id])
        require_texts("scope.names", self.scope.names)
        require_texts("scope.texts", self.scope.texts)
        value = self.value
        if self.kind not in KINDS or value.ndim != 2 or value.dtype != torch.int16 or not value.numel():
            raise InvalidInput(
                "an entry needs kind 'fact' or 'tombstone' and an int16 value (tokens, slot_dim)"
            )
        if value.device.type != "cpu":
            raise InvalidInput(f"an entry's value must be on cpu, not {value.device.type}")
        if self.fact_id != self.scope.fact_id or not self.fact_id:
            raise InvalidInput("an entry and its scope need the same fact id, not an empty one")
        if not 1 <= self.answer_tokens <= len(value):
            raise InvalidInput(
                "an entry's answer has at least one token and at most as many as its statement"
            )
        if not all(mark.words > 0 and 0 <= mark.bits < 2**BITS for mark in self.marks):
            raise InvalidInput(f"an entry's marks have at least one word and {BITS} bits each")

    def to_bytes(self) -> bytes:
        """The entry as bytes; the same entry always gives the same ones."""
        about: list[object] = [self.fact_id, list(self.scope.names), list(self.scope.texts)]
        about += [list(mark) for mark in self.marks]  # entries from before marks keep their bytes
        text = json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()
        sizes = (self.answer_tokens, *self.value.shape, *self.scope.plain.shape, len(text))
        vectors = (array.astype("<f2").tobytes() for array in (self.scope.plain, self.scope.masked))
        codes = self.value.numpy().astype("<i2", copy=False).tobytes()
        return b"".join(
            (_HEADER.pack(_MAGIC, KINDS.index(self.kind), *sizes), text, codes, *vectors),
        )

    @classmethod
    def from_bytes(cls, data: bytes | bytearray) -> Entry:
        """The entry that `to_bytes` wrote. Raises InvalidInput when the bytes are not one."""
        try:
            magic, kind, answer, tokens, width, phrasings, size, length = _HEADER.unpack_from(data)
            parts = (_HEADER.size, length, 2 * tokens * width, *[2 * phrasings * size] * 2)
            ends = list(accumulate(parts))
            if magic != _MAGIC or ends[-1] != len(data):
                raise ValueError("other bytes, or of another length")
            fact_id, names, texts, *marks = json.loads(bytes(data[ends[0] : ends[1]]))
            if not all(isinstance(text, str) for text in (fact_id, *names, *texts)):
                raise ValueError("text expected")
            plain, masked = (_floats(data, start, phrasings, size) for start in ends[2:4])
            stored = Stored(fact_id, tuple(names), tuple(texts), plain, masked)
            value = _codes(data, ends[1], tokens, width)
            return cls(fact_id, KINDS[kind], value, answer, stored, tuple(_mark(mark) for mark in marks))
        except (struct.error, ValueError, TypeError, IndexError) as error:
            raise InvalidInput("these bytes are not a ledger entry of this version") from error


def _mark(kept: list[int]) -> Mark:
    """A mark from JSON."""
    if not all(type(number) is int for number in kept):
        raise ValueError("numbers expected")
    return Mark(*kept)


def kind_of(data: bytes | bytearray) -> str:
    """The kind alone of an entry's bytes that this process made itself."""
    return KINDS[_HEADER.unpack_from(data)[1]]


def value_of(data: bytes | bytearray) -> Tensor:
    """The value (n, d) int16 alone of an entry's bytes that this process made itself."""
    _, _, _, tokens, width, _, _, length = _HEADER.unpack_from(data)
    return _codes(data, _HEADER.size + length, tokens, width)


def _codes(data: bytes | bytearray, start: int, tokens: int, width: int) -> Tensor:
    """A copy of the codes (tokens, width) that begin at a byte."""
    codes = np.frombuffer(data, dtype="<i2", count=tokens * width, offset=start)
    return torch.from_numpy(codes.reshape(tokens, width).astype(np.int16))


def _floats(data: bytes | bytearray, start: int, phrasings: int, size: int) -> Floats:
    """A float32 copy of the float16 vectors (phrasings, size) that begin at a byte."""
    floats = np.frombuffer(data, dtype="<f2", count=phrasings * size, offset=start)
    return floats.reshape(phrasings, size).astype(np.float32)
