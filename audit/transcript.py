"""What was asked and answered in a phase: plain text, personal data, to be encrypted by whoever keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.detect import Outcome


WITHHELD = "(not kept)"


@dataclass(frozen=True)
class TranscriptLine:
    """One sample. `drawn` is false for a sample that the target owed; `failed` when the detector raised.

    `attack` is the attack's name in the registry.
    """

    phase: str
    fact_id: str
    source: str
    prompt: str
    output: str
    outcome: Outcome
    probe: int = 0
    drawn: bool = True
    failed: bool = False
    attack: str = ""
    second: Outcome | None = None
    """the second opinion, where one was asked"""

    @property
    def empty(self) -> bool:
        """Whether the model said nothing, and that was judged."""
        return self.drawn and self.outcome == "clean" and not self.output.strip()


@dataclass(frozen=True)
class Transcript:
    """Everything that was asked and answered in a phase."""

    lines: tuple[TranscriptLine, ...]

    def to_bytes(self) -> bytes:
        """JSON lines, UTF-8."""
        return "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in self.lines).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Transcript:
        """Read what `to_bytes` wrote, with or without the salt that storing it adds."""
        lines = [json.loads(line) for line in data.decode().split("\n") if line]
        return cls(tuple(TranscriptLine(**line) for line in lines if line.keys() != {"salt"}))

    @classmethod
    def joined(cls, parts: Iterable[Transcript]) -> Transcript:
        """Several transcripts behind each other."""
        return cls(tuple(line for part in parts for line in part.lines))

    def leaking(self) -> dict[str, list[str]]:
        """The prompts that got an answer out, by fact id: what a repair learns from."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            if line.outcome == "leaked" and line.prompt not in found.setdefault(line.fact_id, []):
                found[line.fact_id].append(line.prompt)
        return found
