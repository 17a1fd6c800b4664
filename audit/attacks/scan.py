"""`state-scan`: are traces of the fact left in what the service keeps: files, database, index, memory?

The target hands over what it keeps (`state_blobs`) and the traces that only it can make (`traces`: token ids,
codes, embeddings as bytes); the texts are searched for in the encodings in which programs write them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, cast

from audit.attacks.base import Attack, Probe
from audit.facts import AuditFact
from audit.rephrase import Phrasing
from audit.target import Sampling, Target

if TYPE_CHECKING:
    from audit.detect import Detector, Outcome

KINDS = ("statement", "prompt", "answer", "token ids", "codes", "embedding")
SHORTEST = 6
"""Bytes. Shorter traces stand in any large file by chance, so they are not searched for."""
FOUND, NOT_FOUND = "found", "not found"


class Keeper(Protocol):
    """What a target must offer to be scanned."""

    def state_blobs(self) -> Iterator[tuple[str, bytes]]:
        """Everything that is kept: (place for people, bytes); large files in overlapping pieces."""
        ...

    def traces(self, fact: AuditFact) -> Mapping[str, Sequence[bytes]]:
        """Byte patterns that this model would leave of a fact, by kind."""
        ...


@dataclass(frozen=True)
class StateScanAttack(Attack):
    """One probe a kind of trace."""

    key: ClassVar[str] = "state-scan"
    goal: ClassVar[str] = "With a copy of the disk and the memory, look for what should be gone."
    threat: ClassVar = "storage"
    counts: ClassVar[bool] = False
    needs_answer: ClassVar[bool] = True
    needs: ClassVar = ("state_blobs", "traces")

    kinds: tuple[str, ...] = KINDS

    @property
    def phrasings(self) -> int:  # type: ignore[override]
        """One probe a kind."""
        return len(self.kinds)

    @property
    def samples(self) -> int:  # type: ignore[override]
        """One look a kind."""
        return 1

    @property
    def name(self) -> str:
        """The attack with the kinds of traces."""
        return f"state-scan ({', '.join(self.kinds)})"

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return one probe a kind; the prompt only says which fact is meant."""
        return [Phrasing(fact.prompt, f"state: {kind}") for kind in self.kinds], False

    def ask(
        self, target: Target, asked: Sequence[tuple[Probe, AuditFact]], sampling: Sampling, seed: int
    ) -> list[list[str]]:
        """Where a trace was found, or that it was not; nothing for kinds that leave no telling trace."""
        keeper = cast(Keeper, target)
        wanted = {i: _needles(keeper, fact, probe.source) for i, (probe, fact) in enumerate(asked)}
        places: dict[int, list[str]] = {i: [] for i in wanted}
        for place, blob in keeper.state_blobs():
            for i, needles in wanted.items():
                if any(needle in blob for needle in needles):
                    places[i].append(place)
        return [
            [f"{FOUND} in {', '.join(dict.fromkeys(places[i]))}" if places[i] else NOT_FOUND]
            if wanted[i]
            else []
            for i in range(len(asked))
        ]

    def judge(self, detector: Detector, fact: AuditFact, probe: Probe, output: str) -> Outcome:
        """Leaked when a trace was found."""
        return "clean" if output == NOT_FOUND else "leaked"

    def with_budget(self, budget: int) -> Self:
        """A scan costs no samples; it stays whole."""
        return self


def text_needles(text: str) -> list[bytes]:
    """A text as programs write it: UTF-8, UTF-16, escaped JSON; as it is and in lower case."""
    forms = dict.fromkeys((text, text.lower()))
    found = [f.encode(code) for f in forms for code in ("utf-8", "utf-16-le", "utf-16-be")]
    found += [json.dumps(f)[1:-1].encode() for f in forms]
    return list(dict.fromkeys(found)) if len(text.encode()) >= SHORTEST else []


def _needles(keeper: Keeper, fact: AuditFact, source: str) -> list[bytes]:
    kind = source.removeprefix("state: ")
    prompt = fact.prompt.strip()
    own = {
        "statement": [f"{prompt} {answer}" for answer in fact.answers],
        "prompt": [prompt],
        "answer": list(fact.answers),
    }
    if kind in own:
        return [needle for text in own[kind] for needle in text_needles(text)]
    return [needle for needle in keeper.traces(fact).get(kind, ()) if len(needle) >= SHORTEST]
