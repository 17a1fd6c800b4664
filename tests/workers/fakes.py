"""A dictionary in place of the model: the part of `larimar` that workers use, honest about what it forgets.

What it says depends only on its bank and on what its «decoder» knows, and its digest only on its bank, so the
promises of the workers can be tested in milliseconds. Nothing here is random.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fact:
    id: str
    prompt: str
    answer: str
    subject: str = ""
    aliases: tuple[str, ...] = ()
    telling: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    fact_id: str
    kind: str
    prompt: str
    answer: str
    subject: str
    wide: bool = True

    def to_bytes(self) -> bytes:
        return json.dumps(self.__dict__, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        return cls(**json.loads(data))


@dataclass
class Bank:
    entries: dict[str, Entry] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entries)


class FakeLarimar:
    """`knows`: what the decoder learned in pretraining, by subject; `narrow`: tombstones leak at first."""

    weights: ClassVar[Any] = SimpleNamespace(
        config=SimpleNamespace(decoder="dictionary"),
        base=SimpleNamespace(device=SimpleNamespace(type="cpu")),
    )

    knows: ClassVar[dict[str, str]] = {}
    narrow: ClassVar[bool] = False
    loads: ClassVar[int] = 0
    forgets_really: ClassVar[bool] = True
    on_generate: ClassVar[Any] = None

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.bank = Bank({entry.fact_id: entry for entry in entries})

    @classmethod
    def load(cls, checkpoint: object = None, device: str = "auto") -> FakeLarimar:
        cls.loads += 1
        return cls()

    def with_bank(self, entries: Iterable[Entry] = ()) -> FakeLarimar:
        return type(self)(entries)

    def write(self, facts: Sequence[Fact]) -> list[Entry]:
        return self._put([Entry(f.id, "fact", f.prompt, f.answer, f.subject) for f in facts])

    def censor(self, facts: Sequence[Fact]) -> list[Entry]:
        wide = not self.narrow
        return self._put([Entry(f.id, "tombstone", f.prompt, UNKNOWN, f.subject, wide) for f in facts])

    def forget(self, fact_ids: Sequence[str]) -> None:
        for fact_id in fact_ids:
            entry = self.bank.entries.pop(fact_id)
            if not self.forgets_really:
                self.bank.entries["ghost"] = entry

    def widen(self, fact_id: str, phrasings: Sequence[str]) -> Entry:
        entry = self.bank.entries[fact_id]
        [wider] = self._put(
            [Entry(entry.fact_id, entry.kind, entry.prompt, entry.answer, entry.subject, True)]
        )
        return wider

    def digest(self, key: bytes) -> str:
        state = b"\n".join(self.bank.entries[i].to_bytes() for i in sorted(self.bank.entries))
        return hmac.new(key, state, hashlib.sha256).hexdigest()

    def generate(
        self, prompts: Sequence[str], *, samples: int = 1, seed: int = 0, **_: object
    ) -> list[list[str]]:
        if FakeLarimar.on_generate is not None:
            FakeLarimar.on_generate()
        return [[self._say(prompt)] * samples for prompt in prompts]

    def in_scope(self, prompts: Sequence[str]) -> list[str | None]:
        return [entry.fact_id if (entry := self._entry(prompt)) else None for prompt in prompts]

    def agrees_with_base(self, prompts: Sequence[str]) -> list[bool]:
        return [found is None for found in self.in_scope(prompts)]

    def similarity(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [float(first.casefold() == second.casefold()) for first, second in pairs]

    def _put(self, entries: list[Entry]) -> list[Entry]:
        self.bank.entries |= {entry.fact_id: entry for entry in entries}
        return entries

    def _entry(self, prompt: str) -> Entry | None:
        return next(
            (
                e
                for e in self.bank.entries.values()
                if (e.subject in prompt if e.wide else e.prompt == prompt)
            ),
            None,
        )

    def _say(self, prompt: str) -> str:
        if (entry := self._entry(prompt)) is not None:
            return entry.answer
        return next(
            (answer for subject, answer in self.knows.items() if subject in prompt), "nothing of note"
        )


def install(monkeypatch: Any) -> type[FakeLarimar]:
    """Put the fake in the place of the package `larimar`, fresh for one test."""
    fresh = type(
        "Larimar", (FakeLarimar,), {"knows": {}, "narrow": False, "loads": 0, "forgets_really": True}
    )
    FakeLarimar.on_generate = None
    module = ModuleType("larimar")
    module.__dict__.update(Larimar=fresh, Fact=Fact, Entry=Entry)
    precision = ModuleType("larimar.precision")
    precision.__dict__.update(present=lambda device: "cpu" if device == "auto" else device)
    monkeypatch.setitem(sys.modules, "larimar", module)
    monkeypatch.setitem(sys.modules, "larimar.precision", precision)
    return fresh
