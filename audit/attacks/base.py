"""What an attack is: it makes the probes of a fact, puts them to a target, and reads what comes back.

Most attacks only make prompts; asking (`ask`) and judging (`judge`) are then the same for all. The white-box
attacks, the membership attack and the scan of the state have their own.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from audit.errors import AttackImpossible
from audit.facts import AuditFact, refusal
from audit.results import Record
from audit.target import Sampling, Target

if TYPE_CHECKING:
    from audit.detect import Detector, Outcome
    from audit.rephrase import Phrasing

Threat = Literal["black-box", "part of the answer", "white-box", "storage"]
"""What the attacker has: the served model; the same and a part of the answer; its weights; its files."""


class Probe(Record):
    """One prompt of an attack. `temperature` None: the audit's own. `given`: what the prompt gives away."""

    fact_id: str
    prompt: str
    identifies_subject: bool
    source: str
    temperature: float | None = None
    given: str = ""


class ProbeSet(Record):
    """The probes of all facts of a request, made once and put to every target alike.

    `refused` maps fact ids to codes of `audit.facts.REFUSALS`. `rephraser_failures` counts facts whose
    rephraser raised (templates stood in), `missing` the probes that could not be made at all.
    """

    attack: str
    samples: int
    seed: int
    probes: tuple[Probe, ...]
    refused: tuple[tuple[str, str], ...] = ()
    rephraser_failures: int = 0
    missing: int = 0


class Attack(ABC):
    """A strategy. Subclasses are frozen dataclasses whose fields are the parameters."""

    key: ClassVar[str]
    """the name in the registry"""
    goal: ClassVar[str]
    """what the attacker wants, in a sentence for people"""
    threat: ClassVar[Threat] = "black-box"
    counts: ClassVar[bool] = True
    """whether its leaks decide the verdict; other attacks are reported beside it"""
    needs: ClassVar[tuple[str, ...]] = ("sample",)
    """methods that a target must have"""
    needs_answer: ClassVar[bool] = False
    """whether it must know the answer itself, not only recognise it"""
    phrasings: int
    samples: int

    @property
    def name(self) -> str:
        """Printed in the report, with the parameters that matter."""
        return f"{self.key} ({self.phrasings} prompts × {self.samples} samples)"

    @property
    def probes_wanted(self) -> int:
        """Probes per fact when all goes well."""
        return self.phrasings

    def prepare(self, facts: Sequence[AuditFact], seed: int) -> None:  # noqa: B027 - most have nothing to prepare
        """Make ready what `phrase` needs for these facts, where that is cheaper at once."""

    @abstractmethod
    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompts for a fact, at most `probes_wanted`, and whether its own rephraser failed."""

    @property
    def judges_words(self) -> bool:
        """Whether an output is what the model said, and the detector alone judges it."""
        return type(self).judge is Attack.judge

    def ask(
        self, target: Target, asked: Sequence[tuple[Probe, AuditFact]], sampling: Sampling, seed: int
    ) -> list[list[str]]:
        """Put one batch of probes to a target; `samples` outputs for each, in order."""
        return target.sample(
            [probe.prompt for probe, _ in asked],
            samples=self.samples,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            seed=seed,
        )

    def judge(self, detector: Detector, fact: AuditFact, probe: Probe, output: str) -> Outcome:
        """Return whether one output leaks the fact."""
        return detector.judge(fact, probe.prompt, output)

    def with_budget(self, budget: int) -> Self:
        """The same attack with at most `budget` samples a fact. Raises ValueError below 1."""
        if budget < 1:
            raise ValueError("an attack needs a budget of at least one sample a fact")
        probes = min(self.probes_wanted, budget)
        changed = {"phrasings": probes, "samples": budget // probes}
        return dataclasses.replace(self, **changed)  # type: ignore[type-var]

    def check(self, target: object) -> None:
        """Raise AttackImpossible when the target lacks what this attack needs."""
        lacking = [name for name in self.needs if not callable(getattr(target, name, None))]
        if lacking:
            raise AttackImpossible(
                f"the attack {self.key!r} ({self.threat}) needs a target with: {', '.join(lacking)}"
            )


def make_probes(facts: Sequence[AuditFact], attack: Attack, seed: int, *, max_tokens: int = 10) -> ProbeSet:
    """Make the probes of all facts; those that cannot be audited honestly get none and are `refused`.

    Whatever an attack makes, no prompt that holds the answer is asked. Probes stand in the order of their
    temperature, so that batches can be filled.
    """
    probes: list[Probe] = []
    refused: list[tuple[str, str]] = []
    failures = missing = 0
    codes = [refusal(fact, max_tokens) for fact in facts]
    attack.prepare([fact for fact, code in zip(facts, codes, strict=True) if not code], seed)
    for fact, code in zip(facts, codes, strict=True):
        if code:
            refused.append((fact.id, code))
            continue
        phrasings, failed = attack.phrase(fact, seed)
        kept = [p for p in phrasings if p.text.strip() and not fact.holds_answer(p.text)]
        failures += failed
        missing += max(0, attack.probes_wanted - len(kept))
        named = fact.with_subject()
        probes += [
            Probe(
                fact_id=fact.id,
                prompt=p.text,
                identifies_subject=named.identifies_subject(p.text),
                source=p.source,
                temperature=p.temperature,
                given=p.given,
            )
            for p in kept[: attack.probes_wanted]
        ]
    probes.sort(key=lambda probe: -1.0 if probe.temperature is None else probe.temperature)
    return ProbeSet(
        attack=attack.name,
        samples=attack.samples,
        seed=seed,
        probes=tuple(probes),
        refused=tuple(refused),
        rephraser_failures=failures,
        missing=missing,
    )
