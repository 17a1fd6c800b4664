"""The counts of an audit, without any text: safe to store and to publish.

Frozen pydantic records, so that `model_dump(mode="json")` and `model_validate` are the way to and from JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

PhaseName = Literal["before", "after", "twin", "repair"]
FactOutcome = Literal["leaked", "clean", "unscored", "refused"]


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProbeResult(Record):
    """One probe: how many of its samples told the answer."""

    identifies_subject: bool
    source: str
    samples: int = Field(ge=0)
    leaked: int = Field(ge=0)
    unscored: int = Field(ge=0, default=0)
    empty: int = Field(ge=0, default=0)
    attack: str = ""
    prompt: int | None = Field(ge=0, default=None)
    """which of the attack's distinct prompts on this fact it asked; None (schema versions 1 and 2): one of its own"""
    second_scored: int = Field(ge=0, default=0)
    """clean samples that the second opinion judged too"""
    doubted: int = Field(ge=0, default=0)
    """of these, the ones that it holds for leaks"""

    @model_validator(mode="after")
    def _counts_fit(self) -> ProbeResult:
        if self.leaked + self.unscored + self.empty > self.samples:
            raise ValueError("leaked, unscored and empty samples are more than all samples")
        if not self.doubted <= self.second_scored <= self.samples - self.leaked - self.unscored:
            raise ValueError("the second opinion was asked about more than the clean samples")
        return self

    @property
    def scored(self) -> int:
        """Samples that the detector could judge."""
        return self.samples - self.unscored


class FactResult(Record):
    """All probes of one fact. `refused`: the code of `audit.facts.REFUSALS` if it was not attacked."""

    fact_id: str
    refused: str = ""
    probes: tuple[ProbeResult, ...] = ()

    @property
    def samples(self) -> int:
        """All samples drawn for this fact."""
        return sum(probe.samples for probe in self.probes)

    @property
    def scored(self) -> int:
        """Samples that the detector could judge."""
        return sum(probe.scored for probe in self.probes)

    @property
    def leaked(self) -> int:
        """Samples that told the answer."""
        return sum(probe.leaked for probe in self.probes)

    @property
    def outcome(self) -> FactOutcome:
        """Leaked when any sample told the answer; unscored when nothing could be judged."""
        if self.refused:
            return "refused"
        if self.leaked:
            return "leaked"
        return "clean" if self.scored else "unscored"


class PhaseResult(Record):
    """One run of the attack against one target.

    `seed` is None where several seeds were pooled, `top_k` where the target draws by its own and does not tell it.
    """

    name: PhaseName
    target: str
    attack: str
    detector: str
    second: str = ""
    seed: int | None
    max_tokens: int
    temperature: float
    top_k: int | None
    facts: tuple[FactResult, ...]
    rephraser_failures: int = 0
    detector_failures: int = 0
    missing_probes: int = 0

    @property
    def audited(self) -> tuple[FactResult, ...]:
        """Facts with at least one judged sample."""
        return tuple(fact for fact in self.facts if fact.outcome in ("leaked", "clean"))

    @property
    def probes(self) -> tuple[ProbeResult, ...]:
        """Every probe of every fact."""
        return tuple(probe for fact in self.facts for probe in fact.probes)

    def only(self, fact_ids: Collection[str]) -> PhaseResult:
        """The phase with these facts alone."""
        return self.model_copy(update={"facts": tuple(f for f in self.facts if f.fact_id in fact_ids)})

    @property
    def facts_leaked(self) -> int:
        """Facts with at least one leak."""
        return sum(fact.outcome == "leaked" for fact in self.facts)

    @property
    def samples(self) -> int:
        """All samples drawn."""
        return sum(fact.samples for fact in self.facts)

    @property
    def scored(self) -> int:
        """All samples judged."""
        return sum(fact.scored for fact in self.facts)

    @property
    def leaked(self) -> int:
        """All samples that told the answer."""
        return sum(fact.leaked for fact in self.facts)

    @property
    def empty(self) -> int:
        """All samples in which the model said nothing."""
        return sum(probe.empty for probe in self.probes)

    @property
    def second_scored(self) -> int:
        """All clean samples that the second opinion judged."""
        return sum(probe.second_scored for probe in self.probes)

    @property
    def doubted(self) -> int:
        """All clean samples that the second opinion holds for leaks."""
        return sum(probe.doubted for probe in self.probes)


MADE_WITH = {
    "attack": "the attack",
    "detector": "the detector",
    "max_tokens": "the tokens read",
    "temperature": "the temperature",
    "top_k": "top-k",
}


def differences(before: PhaseResult, after: PhaseResult) -> tuple[str, ...]:
    """In what the attack of one phase was not that of the other, in words; what a target does not tell is left out."""
    found = []
    for name, word in MADE_WITH.items():
        was, now = getattr(before, name), getattr(after, name)
        if was != now and None not in (was, now):
            found.append(f"{word} (then: {was}; now: {now})")
    return tuple(found)


def joined_attacks(phases: Sequence[PhaseResult]) -> PhaseResult:
    """One phase over several attacks on the same target and facts: a fact leaks when any attack gets it out."""
    first = phases[0]
    if len(phases) == 1:
        return first
    by_fact: dict[str, list[ProbeResult]] = {}
    for phase in phases:
        for fact in phase.facts:
            by_fact.setdefault(fact.fact_id, []).extend(fact.probes)
    facts = tuple(fact.model_copy(update={"probes": tuple(by_fact[fact.fact_id])}) for fact in first.facts)
    totals = {
        name: sum(getattr(phase, name) for phase in phases)
        for name in ("rephraser_failures", "detector_failures", "missing_probes")
    }
    names = {
        name: "; ".join(dict.fromkeys(said for phase in phases if (said := getattr(phase, name))))
        for name in ("attack", "target", "second")
    }
    return first.model_copy(update={**names, "facts": facts, **totals})


class NeighbourResult(Record):
    """What the removal cost: prompts about other things, and how many of them changed.

    `silenced` counts prompts that the memory now answers for because of this request; `agreeing` those whose
    next-token scores are exactly the base decoder's. `same_subject` are other questions about the same
    subject.
    """

    prompts: int = Field(ge=0)
    silenced: int = Field(ge=0)
    agreeing: int = Field(ge=0)
    same_subject: int = Field(ge=0, default=0)
    same_subject_silenced: int = Field(ge=0, default=0)

    @model_validator(mode="after")
    def _counts_fit(self) -> NeighbourResult:
        if max(self.silenced, self.agreeing) > self.prompts or self.same_subject_silenced > self.same_subject:
            raise ValueError("more prompts counted than asked")
        return self

    @classmethod
    def sum(cls, results: Iterable[NeighbourResult]) -> NeighbourResult:
        """Add the counts of several results."""
        totals = dict.fromkeys(cls.model_fields, 0)
        for result in results:
            for name in totals:
                totals[name] += getattr(result, name)
        return cls(**totals)
