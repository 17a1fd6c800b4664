"""One phase of an audit: several attacks on one target, each a step of its own, joined at the end.

    attack 1 -> saved, attack 2 -> saved, … -> joined and saved under the phase's name

Within a step every batch of samples is kept as soon as it was judged. So a worker that dies loses at most the
batch that it was asking, and whoever takes the job over asks nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from audit.attacks import Attack, ProbeSet
from audit.detect import Detector
from audit.errors import AnotherAudit, TranscriptTampered
from audit.journal import Journal
from audit.results import PhaseName, PhaseResult, joined_attacks
from audit.run import run_phase
from audit.target import Sampling
from audit.transcript import Transcript
from store import audits, samples
from workers.case import Case
from workers.samples import StoredSamples
from workers.targets import MemoryTarget

log = structlog.get_logger()


@dataclass(frozen=True)
class Planned:
    """An attack with the probes that were prepared for it."""

    attack: Attack
    probes: ProbeSet

    @property
    def samples(self) -> int:
        """How many samples it draws."""
        return len(self.probes.probes) * self.probes.samples


@dataclass(frozen=True)
class Phase:
    """The attacks of one phase. `name` is what it is saved under: «after», «after-1» …"""

    case: Case
    kind: PhaseName
    name: str
    target: MemoryTarget
    detector: Detector
    sampling: Sampling
    seed: int
    second: Detector | None = None

    def run(self, planned: Sequence[Planned]) -> PhaseResult:
        """Run what is not saved yet; the result of the attacks that decide the verdict.

        Raises TranscriptTampered (and gives the run up) when stored samples were changed.
        """
        total = sum(plan.samples for plan in planned)
        done, results = 0, []
        for place, plan in enumerate(planned, start=1):
            told = f"{self.name}, attack {place} of {len(planned)}" if len(planned) > 1 else self.name
            results.append(self._step(plan, told, done, total))
            done += plan.samples
        deciding = [r for r, plan in zip(results, planned, strict=True) if plan.attack.counts]
        joined = joined_attacks(deciding)
        steps = [self._step_name(plan) for plan in planned if plan.attack.counts]
        self._save_joined(joined, steps)
        return joined

    def _step_name(self, plan: Planned) -> str:
        return f"{self.name}.{plan.attack.key}"

    def _step(self, plan: Planned, told: str, done: int, total: int) -> PhaseResult:
        step = self._step_name(plan)
        if (kept := self._finished(step)) is not None:
            return kept

        def tell(probes: int, _: int) -> None:
            self.case.context.progress(told, done + probes * plan.probes.samples, total)

        tell(0, 0)
        result, transcript = self._sampled(plan, step, tell)

        def drop_batches(session: Session) -> None:
            samples.clear(session, self.case.run_id, step)

        self.case.save(step, result.model_dump(mode="json"), transcript.to_bytes(), also=drop_batches)
        return result

    def _finished(self, step: str) -> PhaseResult | None:
        """The saved result of an attack on this very target; one on another state of the bank is sampled anew."""
        kept = self.case.saved(step)
        result = None if kept is None else PhaseResult.model_validate(kept)
        return result if result is not None and result.target == self.target.name else None

    def _sampled(
        self, plan: Planned, step: str, tell: Callable[[int, int], None]
    ) -> tuple[PhaseResult, Transcript]:
        """Go on where the kept batches end, or begin anew when the model has changed since they were drawn."""
        stored = StoredSamples(self.case, step)

        def sample() -> tuple[PhaseResult, Transcript]:
            return run_phase(
                self.kind,
                self.target,
                self.case.audit_facts,
                plan.attack,
                self.detector,
                sampling=self.sampling,
                seed=self.seed,
                probes=plan.probes,
                progress=tell,
                journal=Journal(stored),
                keep_outputs=not self.case.is_blind,
                second=self.second,
            )

        try:
            return sample()
        except AnotherAudit:
            log.info("phase begun again: the model has changed", run=self.case.run_id, step=step)
            stored.cut(0)
            return sample()
        except TranscriptTampered:
            self.case.give_up()
            raise

    def _save_joined(self, joined: PhaseResult, steps: Sequence[str]) -> None:
        """One result and one transcript in the place of the steps that were joined."""
        context, run_id = self.case.context, self.case.run_id
        with context.database.session(read_only=True) as session:
            kept = [audits.transcript(session, context.vault, run_id, step) for step in steps]
        transcript = Transcript.joined(Transcript.from_bytes(data) for data in kept if data is not None)

        def drop_steps(session: Session) -> None:
            audits.drop_phases(session, run_id, steps)

        self.case.save(self.name, joined.model_dump(mode="json"), transcript.to_bytes(), also=drop_steps)
