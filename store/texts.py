"""The text of a fact as it travels between rooms, its rules, and its bytes before encryption."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from store.errors import InvalidInput, VaultError

MAX_ALIASES = 20
_FORBIDDEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph separators


@dataclass(frozen=True)
class Limits:
    """How long and how many: policy, given by the caller."""

    max_fact_chars: int = 400
    max_facts_per_request: int = 100


@dataclass(frozen=True)
class FactText:
    """A fact in words: «The mother tongue of X is», «French», about X, also called …"""

    prompt: str
    answer: str
    subject: str = ""
    aliases: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The plaintext that the vault seals."""
        return json.dumps([self.prompt, self.answer, self.subject, list(self.aliases)]).encode()

    @classmethod
    def from_bytes(cls, plaintext: bytes) -> FactText:
        """The inverse of `to_bytes`."""
        try:
            prompt, answer, subject, aliases = json.loads(plaintext)
        except ValueError:
            raise VaultError("A decrypted fact is not in the form that this version writes.") from None
        return cls(prompt, answer, subject, tuple(aliases))


def validated(texts: Sequence[FactText], limits: Limits) -> list[FactText]:
    """The texts, stripped; `InvalidInput` names position and field of the first that breaks a rule."""
    if not texts:
        raise InvalidInput("At least one fact is needed.", field="facts")
    if len(texts) > limits.max_facts_per_request:
        raise InvalidInput(f"At most {limits.max_facts_per_request} facts fit one list.", field="facts")
    return [_validated_one(text, position, limits.max_fact_chars) for position, text in enumerate(texts)]


def _validated_one(text: FactText, position: int, max_chars: int) -> FactText:
    clean = replace(
        text,
        prompt=text.prompt.strip(),
        answer=text.answer.strip(),
        subject=text.subject.strip(),
        aliases=tuple(alias.strip() for alias in text.aliases),
    )
    fields = [("prompt", clean.prompt), ("answer", clean.answer), ("subject", clean.subject)]
    fields += [("aliases", alias) for alias in clean.aliases]
    for field, value in fields:
        _check_field(field, value, position, max_chars)
    if len(clean.aliases) > MAX_ALIASES:
        raise _refusal("aliases", position, f"has more than {MAX_ALIASES} names")
    return clean


def _check_field(field: str, value: str, position: int, max_chars: int) -> None:
    if not value and field in {"prompt", "aliases"}:
        raise _refusal(field, position, "is empty")
    if len(value) > max_chars:
        raise _refusal(field, position, f"is longer than {max_chars} characters")
    if any(unicodedata.category(character) in _FORBIDDEN for character in value):
        raise _refusal(field, position, "holds a line break or another control character")


def _refusal(field: str, position: int, what: str) -> InvalidInput:
    return InvalidInput(f"Fact {position + 1}: the field {field!r} {what}.", field=field, position=position)
