"""Runs one phase of an audit: puts the probes to a target, judges what comes back, counts.

The counts (`PhaseResult`) hold no text. The texts go into the `Transcript`, which the caller encrypts.
A detector that raises makes a sample `unscored`; a target that raises ends the phase, so that the job can try
again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from audit.attacks import Attack, Probe, ProbeSet, make_probes
from audit.detect import Detector, Outcome
from audit.facts import AuditFact
from audit.results import FactResult, PhaseName, PhaseResult, ProbeResult
from audit.target import Sampling, Target

BATCH = 16  # prompts a call; fixed, because a target's random numbers may depend on it
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TranscriptLine:
    """One sample in plain text: personal data, to be encrypted by whoever keeps it."""

    phase: str
    fact_id: str
    source: str
    prompt: str
    output: str
    outcome: Outcome


@dataclass(frozen=True)
class Transcript:
    """Everything that was asked and answered in a phase."""

    lines: tuple[TranscriptLine, ...]

    def to_bytes(self) -> bytes:
        """JSON lines, UTF-8."""
        return "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in self.lines).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Transcript:
        """Read what `to_bytes` wrote."""
        return cls(tuple(TranscriptLine(**json.loads(line)) for line in data.decode().split("\n") if line))

    def prompts(self) -> list[str]:
        """Every prompt that was asked, once, in order: the `exclude` of the next round."""
        return list(dict.fromkeys(line.prompt for line in self.lines))

    def leaking(self) -> dict[str, list[str]]:
        """The prompts that got an answer out, by fact id: what a repair learns from."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            if line.outcome == "leaked" and line.prompt not in found.setdefault(line.fact_id, []):
                found[line.fact_id].append(line.prompt)
        return found


@dataclass
class _Tally:
    """Counts of the probes of one fact, while they come in."""

    probes: list[ProbeResult]
    failures: int = 0


def _batches(probes: Sequence[Probe]) -> Iterator[tuple[int, tuple[Probe, ...]]]:
    stream = iter(probes)
    start = 0
    while batch := tuple(islice(stream, BATCH)):
        yield start, batch
        start += len(batch)


def _judge(detector: Detector, fact: AuditFact, prompt: str, output: object) -> tuple[Outcome, bool]:
    """Return the outcome of one sample, and whether the detector failed on it."""
    if not isinstance(output, str):
        return "unscored", False
    try:
        outcome = detector.judge(fact, prompt, output)
    except Exception:  # a detector may be anything; what it cannot judge must never count as clean
        return "unscored", True
    return (outcome, False) if outcome in ("leaked", "clean", "unscored") else ("unscored", True)


def _score(
    phase: str, probe: Probe, fact: AuditFact, outputs: Sequence[object], samples: int, detector: Detector
) -> tuple[ProbeResult, list[TranscriptLine], int]:
    """Judge the samples of one probe; samples that never came are unscored."""
    drawn = [*outputs[:samples], *[None] * (samples - len(outputs))]
    judged = [_judge(detector, fact, probe.prompt, output) for output in drawn]
    outcomes = [outcome for outcome, _ in judged]
    empty = sum(
        isinstance(output, str) and not output.strip() and outcome == "clean"
        for output, outcome in zip(drawn, outcomes, strict=True)
    )
    result = ProbeResult(
        identifies_subject=probe.identifies_subject,
        source=probe.source,
        samples=samples,
        leaked=outcomes.count("leaked"),
        unscored=outcomes.count("unscored"),
        empty=empty,
    )
    lines = [
        TranscriptLine(phase, fact.id, probe.source, probe.prompt, str(output or ""), outcome)
        for output, outcome in zip(drawn, outcomes, strict=True)
    ]
    return result, lines, sum(failed for _, failed in judged)


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
) -> tuple[PhaseResult, Transcript]:
    """Attack one target. Hand the same `probes` to every phase; when absent they are made here."""
    asked = probes if probes is not None else make_probes(facts, attack, seed, max_tokens=sampling.max_tokens)
    tallies = {fact.id: _Tally([]) for fact in facts}
    by_id = {fact.id: fact for fact in facts}
    lines: list[TranscriptLine] = []
    for start, batch in _batches(asked.probes):
        drawn = target.sample(
            [probe.prompt for probe in batch],
            samples=asked.samples,
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            seed=seed + start,
        )
        padded = [*drawn, *[[] for _ in range(len(batch) - len(drawn))]]
        for probe, outputs in zip(batch, padded, strict=False):
            tally = tallies[probe.fact_id]
            scored, said, failures = _score(
                name, probe, by_id[probe.fact_id], outputs, asked.samples, detector
            )
            tally.probes.append(scored)
            tally.failures += failures
            lines += said
        if progress is not None:
            progress(start + len(batch), len(asked.probes))
    refused = dict(asked.refused)
    result = PhaseResult(
        name=name,
        target=target.name,
        attack=asked.attack,
        detector=detector.name,
        seed=seed,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        facts=tuple(
            FactResult(fact_id=key, refused=refused.get(key, ""), probes=tuple(tally.probes))
            for key, tally in tallies.items()
        ),
        rephraser_failures=asked.rephraser_failures,
        missing_probes=asked.missing,
        detector_failures=sum(tally.failures for tally in tallies.values()),
    )
    return result, Transcript(tuple(lines))
