"""`rephrase`, the paper's Table 5 (after Patil et al. 2023): 4 rephrasings x 5 samples, a budget of 20 a fact.

A fact has leaked when any sample tells the answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import ClassVar

from audit.attacks.base import Attack
from audit.facts import AuditFact
from audit.rephrase import Batched, Phrasing, Rephraser, TemplateRephraser, acceptable, distinct
from audit.words import texts


@dataclass(frozen=True)
class RephraseAttack(Attack):
    """Asks in other words. `exclude`: texts not to be asked again, because a repair learned from them.

    `fallback` stands in where the rephraser raises or says too little; templates never stand in for templates, so
    an attack from the repair set never borrows from the certification set.
    """

    key: ClassVar[str] = "rephrase"
    goal: ClassVar[str] = "Get the answer by asking for it in other words."

    rephraser: Rephraser = field(default_factory=TemplateRephraser)
    phrasings: int = 4
    samples: int = 5
    exclude: Collection[str] = ()
    fallback: Rephraser = field(default_factory=TemplateRephraser)

    @property
    def name(self) -> str:
        """The attack with its budget and its source of phrasings."""
        return f"rephrase ({self.phrasings} phrasings × {self.samples} samples; {self.rephraser.name})"

    def prepare(self, facts: Sequence[AuditFact], seed: int) -> None:
        """Ask a model for the phrasings of all facts at once; where it fails, `phrase` meets and counts it."""
        if not isinstance(self.rephraser, Batched):
            return
        groups: dict[int, list[AuditFact]] = defaultdict(list)
        for fact in facts:
            groups[self._wanted(fact)].append(fact)
        with suppress(Exception):
            for wanted, some in groups.items():
                self.rephraser.prepare(some, wanted, seed)

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return fresh, acceptable phrasings of the fact's prompt, and whether the rephraser failed."""
        wanted = self._wanted(fact)
        failed = False
        try:
            made = self.rephraser.rephrase(fact, wanted, seed)
        except Exception:  # whatever a model-backed rephraser raises, the audit goes on and counts it
            made, failed = [], True
        if len(made) < wanted and not isinstance(self.rephraser, TemplateRephraser):
            made = [*made, *self.fallback.rephrase(fact, wanted, seed)]
        guarded = fact.with_subject()
        fresh = (p for p in distinct(made) if acceptable(guarded, p.text) and texts(p.text) not in self._used)
        return list(islice(fresh, self.phrasings)), failed

    def _wanted(self, fact: AuditFact) -> int:
        """How many phrasings to ask for so that enough are fresh: as many more as were asked of this subject."""
        fact = fact.with_subject()
        names = [set(texts(name)) for name in (fact.subject, *fact.aliases) if name.strip()]
        return self.phrasings + sum(not names or any(n <= set(said) for n in names) for said in self._used)

    @cached_property
    def _used(self) -> frozenset[tuple[str, ...]]:
        """The words of what is not asked again; read once, not once a fact."""
        return frozenset(texts(text) for text in self.exclude)
