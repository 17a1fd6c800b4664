"""A target that offers all that any attack may need: it leaks, shows its layers, and can be searched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from audit.facts import AuditFact
from tests.audit.fakes import Leaky


@dataclass
class OpenModel(Leaky):
    """`draws` counts completions; `blobs` is what it keeps; `tombstones`: facts to which it says «unknown»."""

    blobs: Mapping[str, bytes] = field(default_factory=dict)
    tombstones: Sequence[AuditFact] = ()
    draws: int = 0

    def sample(self, prompts: Sequence[str], *, samples: int, seed: int, **more: object) -> list[list[str]]:  # type: ignore[override]
        self.draws += samples * len(prompts)
        said = super().sample(prompts, samples=samples, seed=seed, **more)  # type: ignore[arg-type]
        if not self.tombstones:
            return said
        blocked = [any(fact.subject in prompt for fact in self.tombstones) for prompt in prompts]
        return [
            outputs if shut else [f" word {seed} {prompt[:9]} {i}" for i in range(samples)]
            for outputs, shut, prompt in zip(said, blocked, prompts, strict=True)
        ]

    def layer_candidates(self, prompts: Sequence[str], *, k: int, layers: int, by: str) -> list[list[str]]:
        found = []
        for prompt in prompts:
            told = [f.answers[0] for f in self.known if f.subject in prompt and self.chance]
            found.append([*map(self.first_token, told), *[" the"] * k * layers][: k * layers])
        return found

    def first_token(self, answer: str) -> str:
        return " " + answer.split()[0]

    def state_blobs(self) -> Iterator[tuple[str, bytes]]:
        yield from self.blobs.items()

    def traces(self, fact: AuditFact) -> Mapping[str, Sequence[bytes]]:
        return {"token ids": [f"tokens of {fact.id}".encode()], "codes": [f"codes of {fact.id}".encode()]}
