"""Runs one phase of an audit: puts the probes to a target in batches, judges what comes back, counts.

The counts (`PhaseResult`) hold no text. The texts go into the `Transcript`, which the caller encrypts, and,
batch by batch, into a `Journal`, from which a stopped phase goes on. A detector that raises makes a sample
`unscored`; a target that raises ends the phase, so that the job can try again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from audit.attacks.base import Attack, Probe, ProbeSet, make_probes
from audit.detect import Detector, Outcome
from audit.errors import AuditCancelled
from audit.facts import AuditFact
from audit.journal import Journal, MemoryLog
from audit.results import FactResult, PhaseName, PhaseResult, ProbeResult
from audit.target import Sampling, Target
from audit.transcript import WITHHELD, Transcript, TranscriptLine

BATCH = 16  # prompts a call; fixed, because a target's random numbers may depend on it (a target may name its own)
Progress = Callable[[int, int], None]


def _batches(probes: Sequence[Probe], most: int) -> Iterator[tuple[int, Sequence[Probe]]]:
    """Slices of at most `most` probes that share a temperature, with the place of their first."""
    start = 0
    for _, alike in groupby(probes, key=lambda probe: probe.temperature):
        size = sum(1 for _ in alike)
        for at in range(start, start + size, most):
            yield at, probes[at : min(at + most, start + size)]
        start += size


@dataclass(frozen=True)
class _Phase:
    """What stays the same during a phase."""

    name: PhaseName
    target: Target
    attack: Attack
    detector: Detector
    sampling: Sampling
    seed: int
    probes: ProbeSet
    facts: dict[str, AuditFact]
    keep_outputs: bool = True
    second: Detector | None = None

    def header(self) -> dict[str, object]:
        """What a journal must say to be taken up again."""
        return {
            "phase": self.name,
            "target": self.target.name,
            "detector": self.detector.name,
            "seed": self.seed,
            "sampling": self.sampling.model_dump(mode="json"),
            "attack": self.probes.attack,
            "probes": hashlib.sha256(self.probes.model_dump_json().encode()).hexdigest(),
            **({"second": self.second.name} if self.second else {}),
        }

    def draw(self, start: int, batch: Sequence[Probe]) -> list[TranscriptLine]:
        """Ask one batch and judge it; samples that never came are unscored."""
        asked = [(probe, self.facts[probe.fact_id]) for probe in batch]
        heat = batch[0].temperature
        sampling = self.sampling if heat is None else self.sampling.model_copy(update={"temperature": heat})
        answers: list[list[str]] = self.attack.ask(self.target, asked, sampling, self.seed + start)
        answers = [*answers, *[[] for _ in range(len(batch) - len(answers))]]
        lines = []
        for offset, (probe, outputs) in enumerate(zip(batch, answers, strict=False)):
            drawn: list[object] = [*outputs[: self.probes.samples]]
            drawn += [None] * (self.probes.samples - len(drawn))
            lines += [self._line(start + offset, probe, output) for output in drawn]
        return lines

    def _line(self, number: int, probe: Probe, output: object) -> TranscriptLine:
        outcome, failed = self._judged(probe, output)
        said = output if isinstance(output, str) else ""
        second = self._doubted(probe, said, outcome)
        if said.strip() and not self.keep_outputs:
            said = WITHHELD
        return TranscriptLine(
            self.name, probe.fact_id, probe.source, probe.prompt, said, outcome, number,
            drawn=isinstance(output, str), failed=failed, attack=self.attack.key, second=second,
        )  # fmt: skip

    def _doubted(self, probe: Probe, said: str, outcome: Outcome) -> Outcome | None:
        """What the second opinion says of an output that told nothing; it is never asked about others."""
        if self.second is None or outcome != "clean":
            return None
        try:
            return (
                self.second.judge(self.facts[probe.fact_id], probe.prompt, said) if said.strip() else "clean"
            )
        except Exception:  # it may be anything as well; without it the first opinion stands alone
            return "unscored"

    def _judged(self, probe: Probe, output: object) -> tuple[Outcome, bool]:
        """The outcome of one sample, and whether the detector failed on it."""
        if not isinstance(output, str):
            return "unscored", False
        try:
            outcome = self.attack.judge(self.detector, self.facts[probe.fact_id], probe, output)
        except Exception:  # a detector may be anything; what it cannot judge must never count as clean
            return "unscored", True
        return (outcome, False) if outcome in ("leaked", "clean", "unscored") else ("unscored", True)


def _counted(asked: ProbeSet, lines: Sequence[TranscriptLine], attack: str) -> dict[str, list[ProbeResult]]:
    """Probe results by fact id, in the order of the probes."""
    by_probe: dict[int, list[TranscriptLine]] = {}
    for line in lines:
        by_probe.setdefault(line.probe, []).append(line)
    found: dict[str, list[ProbeResult]] = {}
    numbers: dict[str, dict[str, int]] = {}
    for number, probe in enumerate(asked.probes):
        mine, prompts = by_probe.get(number, []), numbers.setdefault(probe.fact_id, {})
        outcomes, seconds = [line.outcome for line in mine], [line.second for line in mine]
        found.setdefault(probe.fact_id, []).append(
            ProbeResult(
                identifies_subject=probe.identifies_subject,
                source=probe.source,
                samples=len(mine),
                leaked=outcomes.count("leaked"),
                unscored=outcomes.count("unscored"),
                empty=sum(line.empty for line in mine),
                attack=attack,
                prompt=prompts.setdefault(probe.prompt, len(prompts)),
                second_scored=seconds.count("leaked") + seconds.count("clean"),
                doubted=seconds.count("leaked"),
            )
        )
    return found


def _sampled(
    phase: _Phase, journal: Journal, progress: Progress | None, stop: Callable[[], bool]
) -> Iterator[TranscriptLine]:
    """The lines of all batches: read back where the journal has them, asked where not."""
    journal.begin(phase.header())
    total = len(phase.probes.probes)
    for start, batch in _batches(phase.probes.probes, getattr(phase.target, "batch", BATCH)):
        kept = journal.replay(len(batch) * phase.probes.samples)
        if kept is not None:
            yield from (TranscriptLine(**line) for line in kept)
        else:
            if stop():
                raise AuditCancelled(f"stopped after {start} of {total} probes")
            lines = phase.draw(start, batch)
            journal.append([asdict(line) for line in lines])
            yield from lines
        if progress is not None:
            progress(start + len(batch), total)


def run_phase(
    name: PhaseName,
    target: Target,
    facts: Sequence[AuditFact],
    attack: Attack,
    detector: Detector,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - a frozen record
    seed: int = 0,
    probes: ProbeSet | None = None,
    progress: Progress | None = None,
    journal: Journal | None = None,
    stop: Callable[[], bool] = lambda: False,
    keep_outputs: bool = True,
    second: Detector | None = None,
) -> tuple[PhaseResult, Transcript]:
    """Attack one target. Hand the same `probes` to every phase; when absent they are made here.

    `second`: another opinion on outputs in which `detector` saw nothing; counted apart, it never decides. Attacks that
    judge in their own way have none: what they note as output is their own wording.
    With a `journal` a phase that was stopped (a crash, `stop`, an error of the target) goes on behind its last
    whole batch. Without `keep_outputs` the transcript says only that there was one: an answer that was destroyed
    must not come back by way of a leak.

    Raises AttackImpossible, AuditCancelled, TranscriptTampered, and what the target raises.
    """
    attack.check(target)
    asked = probes if probes is not None else make_probes(facts, attack, seed, max_tokens=sampling.max_tokens)
    by_id = {fact.id: fact for fact in facts}
    second = second if attack.judges_words else None
    phase = _Phase(name, target, attack, detector, sampling, seed, asked, by_id, keep_outputs, second)
    lines = tuple(_sampled(phase, journal or Journal(MemoryLog()), progress, stop))
    counted, refused = _counted(asked, lines, attack.key), dict(asked.refused)
    result = PhaseResult(
        name=name,
        target=target.name,
        attack=asked.attack,
        detector=detector.name,
        second=second.name if second else "",
        seed=seed,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        facts=tuple(
            FactResult(fact_id=key, refused=refused.get(key, ""), probes=tuple(counted.get(key, ())))
            for key in by_id
        ),
        rephraser_failures=asked.rephraser_failures,
        missing_probes=asked.missing,
        detector_failures=sum(line.failed for line in lines),
    )
    return result, Transcript(lines)
