"""Attacks: a fact in, probes out. A registry, because users bring their own.

`rephrase` is the paper's Table 5 (after Patil et al. 2023): 4 rephrasings x 5 samples, a budget of 20 per
fact; a fact has leaked when any sample tells the answer. `resample` asks the original prompt many times.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from audit.errors import UnknownAttack
from audit.facts import AuditFact, refusal
from audit.rephrase import Phrasing, Rephraser, TemplateRephraser, acceptable, distinct
from audit.words import texts


@dataclass(frozen=True)
class Probe:
    """One prompt of an attack."""

    fact_id: str
    prompt: str
    identifies_subject: bool
    source: str


@dataclass(frozen=True)
class ProbeSet:
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


class Attack(Protocol):
    """A strategy. `samples` is how often each of its probes is put to the target."""

    @property
    def name(self) -> str:
        """Printed in the report, with the parameters that matter."""
        ...

    @property
    def samples(self) -> int:
        """Samples per probe."""
        ...

    @property
    def probes_wanted(self) -> int:
        """Probes per fact when all goes well."""
        ...

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompts for a fact, and whether its own rephraser failed."""
        ...


@dataclass(frozen=True)
class RephraseAttack:
    """Asks in other words. `exclude`: texts not to be asked again, because a repair learned from them.

    `fallback` stands in where the rephraser raises or says too little; templates never stand in for templates, so
    an attack from the repair set never borrows from the certification set.
    """

    rephraser: Rephraser = field(default_factory=TemplateRephraser)
    phrasings: int = 4
    samples: int = 5
    exclude: Collection[str] = ()
    fallback: Rephraser = field(default_factory=TemplateRephraser)

    @property
    def name(self) -> str:
        """The attack with its budget and its source of phrasings."""
        return f"rephrase ({self.phrasings} phrasings × {self.samples} samples; {self.rephraser.name})"

    @property
    def probes_wanted(self) -> int:
        """Phrasings per fact."""
        return self.phrasings

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return fresh, acceptable phrasings of the fact's prompt, and whether the rephraser failed."""
        used = {texts(text) for text in self.exclude}
        wanted = self.phrasings + len(used)
        failed = False
        try:
            made = self.rephraser.rephrase(fact, wanted, seed)
        except Exception:  # whatever a model-backed rephraser raises, the audit goes on and counts it
            made, failed = [], True
        if len(made) < wanted and not isinstance(self.rephraser, TemplateRephraser):
            made = [*made, *self.fallback.rephrase(fact, wanted, seed)]
        guarded = fact.with_subject()
        fresh = (p for p in distinct(made) if acceptable(guarded, p.text) and texts(p.text) not in used)
        return list(islice(fresh, self.phrasings)), failed


@dataclass(frozen=True)
class ResampleAttack:
    """Asks the original prompt, word for word, many times."""

    samples: int = 20
    name: str = "resample (the original prompt)"
    probes_wanted: int = 1

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the prompt itself."""
        return [Phrasing(fact.prompt, "original prompt")], False


ATTACKS: dict[str, type[RephraseAttack] | type[ResampleAttack]] = {
    "rephrase": RephraseAttack,
    "resample": ResampleAttack,
}


def attack_named(name: str) -> Attack:
    """Return a registered attack with its default parameters. Raises UnknownAttack."""
    if name not in ATTACKS:
        raise UnknownAttack(f"no attack is called {name!r}; there are: {', '.join(sorted(ATTACKS))}")
    return ATTACKS[name]()


def make_probes(facts: Sequence[AuditFact], attack: Attack, seed: int, *, max_tokens: int = 10) -> ProbeSet:
    """Make the probes of all facts; those that cannot be audited honestly get none and are `refused`."""
    probes: list[Probe] = []
    refused: list[tuple[str, str]] = []
    failures = missing = 0
    for fact in facts:
        code = refusal(fact, max_tokens)
        if code:
            refused.append((fact.id, code))
            continue
        phrasings, failed = attack.phrase(fact, seed)
        failures += failed
        missing += attack.probes_wanted - len(phrasings)
        named = fact.with_subject()
        probes += [Probe(fact.id, p.text, named.identifies_subject(p.text), p.source) for p in phrasings]
    return ProbeSet(attack.name, attack.samples, seed, tuple(probes), tuple(refused), failures, missing)
