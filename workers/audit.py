"""The audit of one request, phase by phase; the attacks, detectors and statistics live in the room `audit`.

Probes are made from seeds of the run, so before, after and twin see the same ones, and a resumed phase sees
them again. The prompts that repair a tombstone never certify it: they come from other templates (of attacks
without such: from the other half of their prompts, in this run and in every later one). `rephrase` also leaves out
what it asked in earlier rounds of the run; the other attacks draw from small pools and may ask again what certified
before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from audit import repair
from audit.attacks import Attack, ProbeSet, RephraseAttack, make_probes, registered
from audit.blind import BlindDetector
from audit.detect import Detector, ExactDetector
from audit.facts import AuditFact
from audit.neighbours import neighbour_prompts, same_subject_prompts
from audit.rephrase import Rephraser
from audit.results import NeighbourResult, PhaseName, PhaseResult
from audit.run import run_phase
from audit.semantic import SemanticDetector
from audit.target import Sampling
from store import facts as store_facts
from workers import suite
from workers.case import Case
from workers.phase import Phase, Planned
from workers.rephrasers import open_rephraser
from workers.targets import MemoryTarget

if TYPE_CHECKING:
    from larimar import Larimar

NEIGHBOURS = 6
SAME_SUBJECT = 4
RETAINED = 5
PORTION = 16
"""Facts whose neighbours are asked together."""


@dataclass(frozen=True)
class Audit:
    """Attacks on the facts of one case."""

    case: Case
    _made: dict[int, list[Planned]] = field(default_factory=dict, compare=False, repr=False)

    def attack(self, phase: PhaseName, target: MemoryTarget, *, number: int = 0) -> PhaseResult:
        """Run the suite of round `number` (0: before any repair), unless it is saved; the joined result of the
        attacks that decide the verdict.
        """
        if (kept := self.saved(phase, number)) is not None:
            return kept
        name = phase_name(phase, number)
        seed = self.case.seed("sample", number)
        planned = Phase(self.case, phase, name, target, self.detector, self.sampling, seed, self.second)
        return planned.run(self._planned(number))

    def saved(self, phase: PhaseName, number: int) -> PhaseResult | None:
        """The result of a suite that this run has finished."""
        kept = self.case.saved(phase_name(phase, number))
        return None if kept is None else PhaseResult.model_validate(kept)

    def beside(self, phases: Sequence[str]) -> list[PhaseResult]:
        """What the attacks that do not decide the verdict found in these phases, as far as they were run; of «before»
        the newest of the request, as for those that decide.
        """
        found = [
            (self.case.saved_ever if phase == "before" else self.case.saved)(f"{phase}.{name}")
            for phase in phases
            for name in suite.names(self.case.context.settings)
        ]
        return [PhaseResult.model_validate(kept) for kept in found if kept is not None]

    def leaking_phrasings(
        self, target: MemoryTarget, leaking: Sequence[str], number: int
    ) -> dict[str, list[str]]:
        """Phrasings of the repair set that get through, by fact id, for the facts whose ids are `leaking`."""
        chosen = [fact for fact in self.case.audit_facts if fact.id in set(leaking)]
        found: dict[str, list[str]] = {}
        for attack in self._learning:
            _, transcript = run_phase(
                "repair",
                target,
                chosen,
                attack,
                self.detector,
                sampling=self.sampling,
                seed=self.case.seed("repair sample", number),
                probes=self._repair_probes(chosen, attack, number),
                progress=lambda done, total: self.case.context.progress("repair", done, total),
            )
            for fact_id, prompts in transcript.leaking().items():
                found.setdefault(fact_id, []).extend(prompts)
        return found

    def seeds(self, repairs: int) -> dict[str, int]:
        """The seeds of this run by what was drawn with them, up to the certification after so many repairs; those of
        a repair and of what follows it end in its number.
        """
        used = [("neighbours", 0)]
        for number in range(repairs + 1):
            used += [("sample", number), *((_purpose("certify", name), number) for name in self._names)]
        for number in range(1, repairs + 1):
            learning = ((_purpose("repair", attack.key), number) for attack in self._learning)
            used += [("repair sample", number), *learning]
        return {
            f"{purpose}-{number}" if number else purpose: self.case.seed(purpose, number)
            for purpose, number in used
        }

    def probes(self, number: int) -> ProbeSet:
        """The rephrasings of a round: always the same for this run and round."""
        return self._probes(self.case.audit_facts, self._certify(number), "certify", number)

    def _planned(self, number: int) -> list[Planned]:
        """The attacks of a round with their probes, which are made once and put to all targets alike."""
        if number not in self._made:
            self._made[number] = [
                Planned(attack, self._certification(attack, number)) for attack in self._suite(number)
            ]
        return self._made[number]

    def _certification(self, attack: Attack, number: int) -> ProbeSet:
        if attack.key == suite.REPHRASE:
            return self.probes(number)
        made = self._probes(self.case.audit_facts, attack, _purpose("certify", attack.key), number)
        if not attack.counts or not (number or self._repaired_ever):
            return made
        return half_of(made, 1, self._stored)

    @cached_property
    def _stored(self) -> frozenset[str]:
        """The prompts of the facts themselves."""
        return frozenset(fact.prompt for fact in self.case.audit_facts)

    @property
    def _repaired_ever(self) -> bool:
        """Whether this run or an earlier one of the request widened a tombstone."""
        return self.case.saved_ever("repair-1") is not None

    def _repair_probes(self, facts: Sequence[AuditFact], attack: Attack, number: int) -> ProbeSet:
        made = self._probes(facts, attack, _purpose("repair", attack.key), number)
        return made if attack.key == suite.REPHRASE else half_of(made, 0, self._stored)

    def _suite(self, number: int) -> list[Attack]:
        others = suite.beside_rephrase(self.case.context.settings)
        return [others[name] if name in others else self._certify(number) for name in self._names]

    @cached_property
    def _names(self) -> list[str]:
        """The attacks of the suite that can be asked: blindly, none that must know the answer itself."""
        known = registered()
        named = suite.names(self.case.context.settings)
        return [name for name in named if not (self.case.is_blind and known[name].needs_answer)]

    @cached_property
    def _learning(self) -> list[Attack]:
        """The attacks that a repair learns from."""
        others = suite.beside_rephrase(self.case.context.settings).values()
        return [self._repair, *(attack for attack in others if attack.counts)]

    @cached_property
    def detector(self) -> Detector:
        """What judges the outputs."""
        return BlindDetector() if self.case.is_blind else ExactDetector()

    @cached_property
    def sampling(self) -> Sampling:
        """How completions are drawn."""
        return Sampling(max_tokens=self.case.context.settings.audit_max_tokens)

    @cached_property
    def _source(self) -> Rephraser:
        """Whose phrasings certify (a model's never repair); opened once, so that it is asked once for the same."""
        settings = self.case.context.settings
        return open_rephraser(settings.rephraser, settings.device)

    @cached_property
    def second(self) -> SemanticDetector | None:
        """The opinion that is printed beside the verdict; none once the answers are destroyed."""
        if self.case.is_blind:
            return None
        return SemanticDetector(self.case.context.models.weights.similarity)

    def _certify(self, number: int) -> RephraseAttack:
        settings = self.case.context.settings
        return repair.certify_attack(
            suite.phrasings(settings, len(self.case.audit_facts)),
            settings.audit_samples,
            source=self._source,
            exclude=self._used_before(number),
        )

    def _used_before(self, number: int) -> tuple[str, ...]:
        """Every phrasing of earlier rounds, whether it certified or repaired."""
        facts = self.case.audit_facts
        return repair.used_before(
            number, self.probes, lambda done: self._probes(facts, self._repair, "repair", done)
        )

    def _probes(self, facts: Sequence[AuditFact], attack: Attack, purpose: str, number: int) -> ProbeSet:
        seed = self.case.seed(purpose, number)
        return make_probes(facts, attack, seed, max_tokens=self.sampling.max_tokens)

    @property
    def _repair(self) -> RephraseAttack:
        return repair.repair_attack(self.case.context.settings.audit_samples)


def _purpose(use: str, attack: str) -> str:
    """What the seed of an attack's probes is for: «certify», and «certify frame» …"""
    return use if attack == suite.REPHRASE else f"{use} {attack}"


def phase_name(phase: PhaseName, number: int) -> str:
    """What a phase is saved under: «after», and «after-1» … after repairs."""
    return f"{phase}-{number}" if number else phase


def half_of(made: ProbeSet, half: int, stored: Collection[str]) -> ProbeSet:
    """The probes whose prompt falls into one of two halves, by its digest. A repair learns from half 0 and is
    certified on half 1: attacks other than `rephrase` have no second set of templates. From the prompts that the
    memory has `stored` there is nothing to learn, so they are in half 1.
    """
    kept = tuple(p for p in made.probes if half == (p.prompt in stored or _digest_bit(p.prompt)))
    dropped = len(made.probes) - len(kept)
    return made.model_copy(update={"probes": kept, "missing": made.missing + dropped})


def _digest_bit(prompt: str) -> int:
    return hashlib.sha256(prompt.encode()).digest()[0] % 2


def neighbours(case: Case, model: Larimar) -> NeighbourResult:
    """What the request costs: prompts that it silences, answers that are still the base decoder's."""
    if (kept := case.saved("neighbours")) is not None:
        return NeighbourResult.model_validate(kept)
    results = []
    removed = [fact.with_subject() for fact in case.audit_facts]
    for start in range(0, len(removed), PORTION):
        case.context.progress("neighbours", start, len(removed))
        results.append(_neighbours_of(case, model, removed[start : start + PORTION], removed))
    result = NeighbourResult.sum(results)
    case.save("neighbours", result.model_dump(mode="json"))
    return result


def recall(case: Case, model: Larimar) -> None:
    """Ask for the request's facts and some of the bank's others, greedily; saved as phase «recall»."""
    if case.saved("recall") is not None:
        return
    written = {entry.fact_id for entry in model.bank.entries.values() if entry.kind == "fact"}
    others = sorted(written - set(case.fact_ids))
    chosen = Random(case.seed("recall")).sample(others, min(RETAINED, len(others)))
    with case.context.database.session(read_only=True) as session:
        texts = store_facts.texts(session, case.context.vault, chosen)
    retained = [AuditFact(id=i, prompt=text.prompt, answers=(text.answer,)) for i, text in texts.items()]
    told = _told(case, model, [*case.audit_facts, *retained])
    case.save(
        "recall",
        {
            "asked": len(case.facts),
            "recalled": sum(told[: len(case.facts)]),
            "retained_asked": len(retained),
            "retained_recalled": sum(told[len(case.facts) :]),
        },
    )


def _told(case: Case, model: Larimar, facts: Sequence[AuditFact]) -> list[bool]:
    """Whether the model, asked greedily, tells each fact's answer."""
    tokens = case.context.settings.audit_max_tokens
    said = model.generate([fact.prompt for fact in facts], max_tokens=tokens, greedy=True)
    return [fact.holds_answer(completions[0]) for fact, completions in zip(facts, said, strict=True)]


def _neighbours_of(
    case: Case, model: Larimar, facts: Sequence[AuditFact], removed: Sequence[AuditFact]
) -> NeighbourResult:
    """The neighbours of several facts, asked together: one small batch a fact would leave the processor idle."""
    seed, mine = case.seed("neighbours"), set(case.fact_ids)
    others = [prompt for fact in facts for prompt in neighbour_prompts(fact, NEIGHBOURS, seed)]
    siblings = [p for fact in facts for p in same_subject_prompts(fact, SAME_SUBJECT, seed, removed)]
    taken = [found in mine for found in model.in_scope([*others, *siblings])]
    return NeighbourResult(
        prompts=len(others),
        silenced=sum(taken[: len(others)]),
        agreeing=sum(model.agrees_with_base(others)),
        same_subject=len(siblings),
        same_subject_silenced=sum(taken[len(others) :]),
    )
