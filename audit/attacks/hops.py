"""`neighbour-hop`: asks for something else whose natural reply holds the answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

from audit.attacks.base import Attack
from audit.facts import AuditFact
from audit.relations import relation_of, relations
from audit.rephrase import Phrasing, distinct


@dataclass(frozen=True)
class NeighbourHopAttack(Attack):
    """The dictionary on a person's desk tells the mother tongue; a parcel's address tells the place."""

    key: ClassVar[str] = "neighbour-hop"
    goal: ClassVar[str] = "Ask for something that implies the answer, without asking for the answer."

    phrasings: int = 5
    samples: int = 4

    def phrase(self, fact: AuditFact, seed: int) -> tuple[list[Phrasing], bool]:
        """Return the hops of the prompt's relation, then general ones; none without a known subject."""
        fact = fact.with_subject()
        if not fact.subject:
            return [], False
        random = Random(f"hop/{seed}/{fact.id}")
        near, far = list(relation_of(fact).hops), list(relations()["general"].hops)
        random.shuffle(near)
        random.shuffle(far)
        made = (Phrasing(line.replace("{subject}", fact.subject), "hops") for line in (*near, *far))
        return list(islice(distinct(made), self.phrasings)), False
