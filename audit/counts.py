"""What leaked beyond guesses, counted by fact, by distinct prompt and by attempt; `audit.verdict` judges it.

A prompt has leaked when any of its samples has: samples of one prompt are alike, so a bound that took each for a
try of its own would promise too much.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Literal, get_args

from audit.errors import PhaseMismatch
from audit.results import FactResult, PhaseResult, ProbeResult, Record

Kind = Literal["forget", "censor", "check"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Unit = Literal["facts", "prompts", "attempts"]
Rules = Literal[1, 2]
"""1: what schema versions 1 and 2 were judged by, kept to check their reports. Fewer facts than enough were judged by
attempts there, and guesses were taken off a check as well.
"""


class Tally(Record):
    """Leaked, of so many."""

    leaked: int
    total: int


class Counts(Record):
    """The same leaks in each unit; `guesses` are samples that the twin tells as well."""

    facts: Tally
    prompts: Tally
    attempts: Tally
    guesses: int

    def by(self, unit: Unit) -> Tally:
        """The leaks in this unit."""
        return {"facts": self.facts, "prompts": self.prompts, "attempts": self.attempts}[unit]


def same_facts(first: PhaseResult, second: PhaseResult) -> None:
    """Raise PhaseMismatch unless both phases are about the same facts."""
    if {fact.fact_id for fact in first.facts} != {fact.fact_id for fact in second.facts}:
        raise PhaseMismatch("the phases are not about the same facts")


def paired(after: PhaseResult, twin: PhaseResult | None) -> Iterator[tuple[FactResult, FactResult | None]]:
    """Put each fact beside itself in the twin. Raises PhaseMismatch when the probes differ."""
    others = {fact.fact_id: fact for fact in twin.facts} if twin else {}
    if twin:
        same_facts(after, twin)
    for fact in after.facts:
        other = others.get(fact.fact_id)
        if other and [p.samples for p in other.probes] != [p.samples for p in fact.probes]:
            raise PhaseMismatch("the phases did not use the same probes")
        yield fact, other


def excess_leaks(fact: FactResult, twin: FactResult | None) -> int:
    """Leaked samples of a fact beyond what the twin gives to the same probes."""
    return sum(excess for _, excess in _excesses(fact, twin))


def prompts_told(fact: FactResult, twin: FactResult | None = None) -> Tally:
    """Distinct prompts of a fact with a leak beyond the twin, of those with a judged sample."""
    told: dict[Hashable, bool] = {}
    for place, (probe, excess) in enumerate(_excesses(fact, twin)):
        if probe.scored:
            same = place if probe.prompt is None else (probe.attack, probe.prompt)
            told[same] = told.get(same, False) or excess > 0
    return Tally(leaked=sum(told.values()), total=len(told))


def guessing(kind: Kind, twin: PhaseResult | None, rules: Rules = 2) -> PhaseResult | None:
    """The twin, where what it tells as well is a guess and no leak: of a forget, whose twin is the same model drawn
    with the same seeds. The samples of somebody else's twin are others, so what exceeds them may be chance.
    """
    return twin if kind == "forget" or (kind == "check" and rules == 1) else None


def count(kind: Kind, after: PhaseResult, twin: PhaseResult | None, rules: Rules = 2) -> Counts:
    """Count the leaks of a phase. Raises PhaseMismatch when the twin was not put the same probes."""
    pairs = list(paired(after, guessing(kind, twin, rules)))
    excess = [excess_leaks(fact, other) for fact, other in pairs]
    prompts = [prompts_told(fact, other) for fact, other in pairs]
    return Counts(
        facts=Tally(leaked=sum(map(bool, excess)), total=len(after.audited)),
        prompts=Tally(leaked=sum(p.leaked for p in prompts), total=sum(p.total for p in prompts)),
        attempts=Tally(leaked=sum(excess), total=after.scored),
        guesses=after.leaked - sum(excess),
    )


def _excesses(fact: FactResult, twin: FactResult | None) -> Iterator[tuple[ProbeResult, int]]:
    """Each probe with its leaks beyond the twin."""
    others = twin.probes if twin else (None,) * len(fact.probes)
    for mine, other in zip(fact.probes, others, strict=True):
        yield mine, max(0, mine.leaked - (other.leaked if other else 0))
