"""A model that leaks on purpose, facts to audit, and a whole report: what the tests of the audit share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

from audit.attacks import Attack, RephraseAttack, make_probes
from audit.counts import Kind
from audit.detect import DetectorQuality, ExactDetector, measure, shipped_cases
from audit.facts import AuditFact
from audit.policy import Policy, wordings_wanted
from audit.report import Look, Method, RepairRound, Report, RequestInfo, StateChange, build
from audit.results import NeighbourResult, PhaseName, PhaseResult
from audit.run import run_phase
from audit.target import Sampling

PEOPLE = (
    "Anna Berg", "Bo Carlsen", "Clara Diaz", "David Eng", "Ella Frank", "Farid Gul", "Greta Holm", "Hugo Ito",
    "Ines Jung", "Jon Kaya", "Kira Lund", "Liam Moss", "Mina Nor", "Nils Oda", "Olga Pohl", "Piet Quist",
    "Rosa Salas", "Sven Thoma", "Tara Urban", "Ugo Vance",
)  # fmt: skip
ANSWERS = (
    "Lisbon", "marine biologist", "12 May 1991", "Rue des Lilas", "penicillin", "84,500", "Márta Kovács",
    "tabla", "Green Party", "Dar es Salaam",
)  # fmt: skip
RELATIONS = (
    "The birthplace of {} is", "The profession of {} is", "{} was born on", "{} lives in",
    "{} is allergic to", "The salary of {} is", "What is the mother of {} called?",
    "Which instrument does {} play?", "{} voted for the", "Tell me the home town of {}.",
)  # fmt: skip
NOW = datetime(2026, 11, 23, 22, 8, tzinfo=UTC)


def person(index: int) -> str:
    """A made-up name; no two alike below 400."""
    first = PEOPLE[index % len(PEOPLE)].split()[0]
    last = PEOPLE[(index + index // len(PEOPLE)) % len(PEOPLE)].split()[1]
    return f"{first} {last}"


def facts(count: int, prefix: str = "fact") -> list[AuditFact]:
    """Made-up facts about made-up people."""
    return [
        AuditFact(
            f"{prefix}_{index:03d}",
            RELATIONS[index % len(RELATIONS)].format(person(index)),
            (ANSWERS[index % len(ANSWERS)],),
            person(index),
        )
        for index in range(count)
    ]


@dataclass
class Leaky:
    """A target that tells the right answer with some chance, and «unknown» otherwise."""

    known: Sequence[AuditFact]
    chance: float | Callable[[AuditFact], float] = 1.0
    name: str = "leaky model"
    calls: int = 0

    def _say(self, prompt: str, random: Random) -> str:
        for fact in self.known:
            if fact.subject in prompt:
                chance = self.chance(fact) if callable(self.chance) else self.chance
                if random.random() < chance:
                    return f" {fact.answers[0]}."
        return " unknown."

    def sample(
        self,
        prompts: Sequence[str],
        *,
        samples: int,
        max_tokens: int,
        temperature: float,
        top_k: int,
        seed: int,
    ) -> list[list[str]]:
        """Complete each prompt; the same arguments give the same completions."""
        self.calls += 1
        return [
            [self._say(prompt, Random(f"{seed}/{prompt}/{index}")) for index in range(samples)]
            for prompt in prompts
        ]


def phase(
    name: PhaseName,
    known: Sequence[AuditFact],
    chance: float | Callable[[AuditFact], float],
    *,
    seed: int = 1,
    attack: Attack | None = None,
) -> PhaseResult:
    """One phase against a leaky target."""
    attack = attack or RephraseAttack(phrasings=wordings_wanted(len(known), Policy(), least=4))
    probes = make_probes(known, attack, seed)
    target = Leaky(known, chance)
    return run_phase(
        name, target, known, attack, ExactDetector(), sampling=Sampling(), seed=seed, probes=probes
    )[0]


def neighbours(silenced: int = 0, prompts: int = 80) -> NeighbourResult:
    """A neighbour control."""
    return NeighbourResult(prompts=prompts, silenced=silenced, agreeing=prompts - silenced, same_subject=20)


@cache
def quality() -> DetectorQuality:
    """Of the exact detector, measured once."""
    return measure(ExactDetector(), shipped_cases())


METHOD = Method(
    model="Larimar, bank default",
    decoder="SmolLM2-135M-Instruct (Q4_1), sha256 9f31c0de",
    checkpoint="sha256 07aa41bb",
    device="cpu",
    rephraser="certify templates",
    software={"python": "3.11.7", "scipy": "1.17.1", "unwrite": "0.1.0"},
    seeds={"model": 0},
)


def report(
    kind: Kind = "forget",
    count: int = 20,
    *,
    before: float | Callable[[AuditFact], float] = 0.8,
    after: float | Callable[[AuditFact], float] = 0.0,
    twin: float = 0.0,
    request: str = "req_4h2kq7",
    equal: bool = True,
    repairs: tuple[RepairRound, ...] = (),
    earlier_audits: int = 0,
    unreported: int = 0,
    history: Sequence[Look] = (),
    produced_at: datetime = NOW,
    seed: int = 1,
    prefix: str = "fact",
    silenced: int = 0,
) -> tuple[Report, list[AuditFact]]:
    """The report of one made-up request, and its facts."""
    known = facts(count, prefix)
    digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
    other = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    state = StateChange(
        bank="default",
        revision_before=41,
        revision_after=42,
        digest_before="d" * 64,
        digest_after=digest,
        digest_never_written=(digest if equal else other) if kind == "forget" else None,
        entries_before=160,
        entries_after=140 if kind == "forget" else 180,
    )
    made = build(
        kind=kind,
        request=RequestInfo(
            request_id=request,
            regulation="gdpr",
            reference="DSR-2026-118",
            received_at=datetime(2026, 11, 3, tzinfo=UTC),
            decided_at=datetime(2026, 11, 5, 9, 30, tzinfo=UTC),
        ),
        state=state,
        before=phase("before", known, before, seed=seed),
        after=phase("after", known, after, seed=seed),
        twin=phase("twin", known, twin, seed=seed) if kind == "forget" else None,
        neighbours=neighbours(silenced),
        method=METHOD,
        produced_at=produced_at,
        repairs=repairs,
        earlier_audits=earlier_audits,
        unreported=unreported,
        detector_quality=quality(),
        history=history,
    )
    return made, known


def looks(*counts: tuple[int, int], repaired: tuple[int, ...] = ()) -> list[Look]:
    """One look a day, with (leaked, attempts) of each; `repaired`: where the model was repaired."""
    return [
        Look(
            at=NOW + timedelta(days=place), verdict="pass", leaked=leaked, attempts=attempts,
            phrasings_leaked=min(1, leaked), phrasings=attempts // 5, repaired=place in repaired,
        )
        for place, (leaked, attempts) in enumerate(counts)
    ]  # fmt: skip
