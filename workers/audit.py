"""The audit of one request, phase by phase; the attacks, detectors and statistics live in the room `audit`.

Probes are made from seeds of the run, so before, after and twin see the same ones, and a resumed phase sees
them again. The phrasings that repair a tombstone never certify it: they come from other templates, and
every later certification leaves out all phrasings that were used before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from audit.attacks import ProbeSet, RephraseAttack, make_probes
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.neighbours import neighbour_prompts, same_subject_prompts
from audit.rephrase import TemplateRephraser
from audit.results import NeighbourResult, PhaseName, PhaseResult
from audit.run import run_phase
from audit.semantic import SemanticDetector
from audit.target import Sampling
from store import facts as store_facts
from workers.case import Case
from workers.targets import MemoryTarget

if TYPE_CHECKING:
    from larimar import Larimar

REPAIR_PHRASINGS = 8
NEIGHBOURS = 6
SAME_SUBJECT = 4
RETAINED = 5


@dataclass(frozen=True)
class Audit:
    """Attacks on the facts of one case."""

    case: Case

    def attack(self, phase: PhaseName, target: MemoryTarget, *, number: int = 0) -> PhaseResult:
        """Run the certification attack of round `number` (0: before any repair), unless it is saved."""
        name = f"{phase}-{number}" if number else phase
        if (kept := self.case.saved(name)) is not None:
            return PhaseResult.model_validate(kept)
        result, transcript = run_phase(
            phase,
            target,
            self.case.audit_facts,
            self._certify(number),
            ExactDetector(),
            sampling=self.sampling,
            seed=self.case.seed("sample", number),
            probes=self.probes(number),
            progress=lambda done, total: self.case.context.progress(phase, done, total),
            second=self.second,
        )
        self.case.save(name, result.model_dump(mode="json"), transcript.to_bytes())
        return result

    def leaking_phrasings(
        self, target: MemoryTarget, leaking: Sequence[str], number: int
    ) -> dict[str, list[str]]:
        """Phrasings of the repair set that get through, by fact id, for the facts whose ids are `leaking`."""
        chosen = [fact for fact in self.case.audit_facts if fact.id in set(leaking)]
        _, transcript = run_phase(
            "repair",
            target,
            chosen,
            self._repair,
            ExactDetector(),
            sampling=self.sampling,
            seed=self.case.seed("repair sample", number),
            probes=self._probes(chosen, self._repair, "repair", number),
            progress=lambda done, total: self.case.context.progress("repair", done, total),
        )
        return {fact_id: list(prompts) for fact_id, prompts in transcript.leaking().items()}

    def probes(self, number: int) -> ProbeSet:
        """The certification probes of a round: always the same for this run and round."""
        return self._probes(self.case.audit_facts, self._certify(number), "certify", number)

    @cached_property
    def sampling(self) -> Sampling:
        """How completions are drawn."""
        return Sampling(max_tokens=self.case.context.settings.audit_max_tokens)

    @cached_property
    def second(self) -> SemanticDetector:
        """The opinion that is printed beside the verdict."""
        return SemanticDetector(self.case.context.models.weights.similarity)

    def _certify(self, number: int) -> RephraseAttack:
        settings = self.case.context.settings
        return RephraseAttack(
            TemplateRephraser("certify"),
            phrasings=settings.audit_phrasings,
            samples=settings.audit_samples,
            exclude=self._used_before(number),
        )

    def _used_before(self, number: int) -> tuple[str, ...]:
        """Every phrasing of earlier rounds, whether it certified or repaired."""
        facts = self.case.audit_facts
        earlier = [self.probes(done) for done in range(number)]
        repairs = [self._probes(facts, self._repair, "repair", done + 1) for done in range(number)]
        return tuple(probe.prompt for made in (*earlier, *repairs) for probe in made.probes)

    def _probes(
        self, facts: Sequence[AuditFact], attack: RephraseAttack, purpose: str, number: int
    ) -> ProbeSet:
        seed = self.case.seed(purpose, number)
        return make_probes(facts, attack, seed, max_tokens=self.sampling.max_tokens)

    @property
    def _repair(self) -> RephraseAttack:
        samples = self.case.context.settings.audit_samples
        return RephraseAttack(TemplateRephraser("repair"), phrasings=REPAIR_PHRASINGS, samples=samples)


def neighbours(case: Case, model: Larimar, *, name: str = "neighbours") -> NeighbourResult:
    """What the request costs: prompts that it silences, answers that are still the base decoder's."""
    if (kept := case.saved(name)) is not None:
        return NeighbourResult.model_validate(kept)
    results = []
    for position, fact in enumerate(case.audit_facts):
        case.context.progress("neighbours", position, len(case.facts))
        results.append(_neighbours_of(case, model, fact))
    result = NeighbourResult.sum(results)
    case.save(name, result.model_dump(mode="json"))
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


def _neighbours_of(case: Case, model: Larimar, fact: AuditFact) -> NeighbourResult:
    others = neighbour_prompts(fact, NEIGHBOURS, case.seed("neighbours"))
    siblings = same_subject_prompts(fact, SAME_SUBJECT, case.seed("neighbours"))
    mine = set(case.fact_ids)
    return NeighbourResult(
        prompts=len(others),
        silenced=sum(found in mine for found in model.in_scope(others)),
        agreeing=sum(model.agrees_with_base(others)),
        same_subject=len(siblings),
        same_subject_silenced=sum(found in mine for found in model.in_scope(siblings)),
    )
