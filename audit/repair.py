"""The repair of a leaking censor, without any database: certify, widen what leaks, certify afresh.

Who owns the model says how it is attacked and widened; here stands what must not differ between the product
and the benchmark that speaks for it: which phrasings a repair learns from, which ones certify it, and when it ends.
The two sets never meet: they come from other templates, and a certification leaves out all that was asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from audit.attacks.base import ProbeSet
from audit.attacks.rephrasing import RephraseAttack
from audit.rephrase import Rephraser, TemplateRephraser
from audit.results import PhaseResult
from audit.schema import RepairRound

PHRASINGS = 8
"""Phrasings of the repair set that are tried on a leaking fact."""


def certify_attack(
    phrasings: int, samples: int, exclude: Collection[str], source: Rephraser | None = None
) -> RephraseAttack:
    """The attack that certifies: phrasings of the certification set or of `source`, without those in `exclude`."""
    rephraser = source or TemplateRephraser("certify")
    return RephraseAttack(rephraser, phrasings=phrasings, samples=samples, exclude=exclude)


def repair_attack(samples: int) -> RephraseAttack:
    """The attack that a repair learns from."""
    return RephraseAttack(TemplateRephraser("repair"), phrasings=PHRASINGS, samples=samples)


def used_before(
    number: int, certified: Callable[[int], ProbeSet], repaired: Callable[[int], ProbeSet]
) -> tuple[str, ...]:
    """Every prompt that was asked before certification `number` (0: none), whether it certified or repaired.

    `certified` gives the probes of a certification, `repaired` those of a repair; repairs count from 1.
    """
    made = [*map(certified, range(number)), *map(repaired, range(1, number + 1))]
    return tuple(probe.prompt for each in made for probe in each.probes)


def rounds(
    limit: int,
    certify: Callable[[int], PhaseResult],
    mend: Callable[[int, Sequence[str]], RepairRound | None],
) -> list[RepairRound]:
    """Repair until nothing leaks, nothing more can be learned, or `limit` rounds are done.

    `certify(n)` attacks after n repairs. `mend(n, fact_ids)` lets the phrasings that get through join the scope of
    the leaking facts; None when none does.
    """
    done: list[RepairRound] = []
    for number in range(1, limit + 1):
        leaking = [fact.fact_id for fact in certify(number - 1).facts if fact.outcome == "leaked"]
        mended = mend(number, leaking) if leaking else None
        if mended is None:
            break
        done.append(mended)
    return done
