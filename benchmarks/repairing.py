"""The product's repair loop on a model in memory: the rules of `audit.repair`, without database and request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from audit import repair
from audit.attacks import ProbeSet, RephraseAttack, make_probes
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.results import PhaseResult
from audit.run import run_phase
from audit.schema import RepairRound
from audit.target import Sampling
from benchmarks.leaks import figures
from larimar import Larimar
from workers.targets import MemoryTarget

ROUNDS, PHRASINGS, SAMPLES = 2, 4, 5
"""The product's defaults (`UNWRITE_REPAIR_ROUNDS`, `UNWRITE_AUDIT_PHRASINGS`, `UNWRITE_AUDIT_SAMPLES`)."""


@dataclass
class Repair:
    """Certifies the tombstones of a model, and widens those that leak; changes the model's bank."""

    model: Larimar
    facts: Sequence[AuditFact]
    sampling: Sampling
    seed: int = 0
    phrasings: dict[str, list[str]] = field(default_factory=dict)
    """what joined the scope, by fact id"""
    certified: list[PhaseResult] = field(default_factory=list)
    """one a round"""

    def __post_init__(self) -> None:
        """Probes are made once."""
        self.probes = cache(self._certification)

    def run(self) -> list[RepairRound]:
        """Repair, as the product does; returns the rounds."""
        return repair.rounds(ROUNDS, self._certify, self._mend)

    def used(self) -> tuple[str, ...]:
        """Every prompt that any round may have asked."""
        return repair.used_before(ROUNDS, self.probes, lambda number: self._repair(self.facts, number))

    def _certify(self, number: int) -> PhaseResult:
        phase, _ = run_phase(
            "after", self._target, self.facts, self._attack(number), ExactDetector(), sampling=self.sampling,
            seed=self._drawn("sample", number), probes=self.probes(number),
        )  # fmt: skip
        self.certified.append(phase)
        return phase

    def _mend(self, number: int, leaking: Sequence[str]) -> RepairRound | None:
        chosen = [fact for fact in self.facts if fact.id in set(leaking)]
        _, transcript = run_phase(
            "repair", self._target, chosen, repair.repair_attack(SAMPLES), ExactDetector(),
            sampling=self.sampling, seed=self._drawn("repair sample", number),
            probes=self._repair(chosen, number),
        )  # fmt: skip
        through = transcript.leaking()
        widen(self.model, through)
        for fact_id, prompts in through.items():
            self.phrasings.setdefault(fact_id, []).extend(prompts)
        added = sum(map(len, through.values()))
        return (
            RepairRound(round=number, facts_leaking=len(through), phrasings_added=added) if through else None
        )

    @property
    def _target(self) -> MemoryTarget:
        return MemoryTarget("Larimar, guarded", self.model)

    def _attack(self, number: int) -> RephraseAttack:
        before = repair.used_before(number, self.probes, lambda n: self._repair(self.facts, n))
        return repair.certify_attack(PHRASINGS, SAMPLES, before)

    def _certification(self, number: int) -> ProbeSet:
        return self._made(self.facts, self._attack(number), self._drawn("certify", number))

    def _repair(self, facts: Sequence[AuditFact], number: int) -> ProbeSet:
        return self._made(facts, repair.repair_attack(SAMPLES), self._drawn("repair", number))

    def _made(self, facts: Sequence[AuditFact], attack: RephraseAttack, seed: int) -> ProbeSet:
        return make_probes(facts, attack, seed, max_tokens=self.sampling.max_tokens)

    def _drawn(self, purpose: str, number: int) -> int:
        """A seed of its own for everything that is drawn."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}/{number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


def widen(model: Larimar, phrasings: Mapping[str, Sequence[str]]) -> None:
    """Let phrasings join the scope of their facts."""
    for fact_id, texts in phrasings.items():
        if texts:
            model.widen(fact_id, list(texts))


def repaired(
    model: Larimar, facts: Sequence[AuditFact], sampling: Sampling, seed: int
) -> tuple[Larimar, dict[str, Any]]:
    """A copy of the model with its tombstones repaired, and what the repair did, ready for a journal."""
    copy = model.with_bank(model.bank.entries.values())
    work = Repair(copy, facts, sampling, seed)
    rounds = work.run()
    return copy, {
        "rounds": [each.model_dump(mode="json") for each in rounds],
        "certified": [figures(phase) for phase in work.certified],
        "phrasings": work.phrasings,
    }
