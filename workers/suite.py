"""The attacks of the service's audits, as the settings name them (`UNWRITE_AUDIT_ATTACKS`)."""

from __future__ import annotations

from audit.attacks import Attack, attack_named, registered
from audit.errors import AuditError, UnknownAttack
from audit.policy import Policy, wordings_wanted
from unwrite.settings import Settings

REPHRASE = "rephrase"
LONGEST_NAME = 40
"""Letters; a step's name in the database is «after-2.» and this."""


def names(settings: Settings) -> tuple[str, ...]:
    """The attacks in the order in which they run, each once.

    Raises UnknownAttack for a name that is not registered, AuditError when none of them decides the verdict.
    """
    named = tuple(dict.fromkeys(name.strip() for name in settings.audit_attacks.split(",") if name.strip()))
    known = registered()
    unknown = [name for name in named if name not in known]
    if unknown:
        raise UnknownAttack(
            f"UNWRITE_AUDIT_ATTACKS names {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
        )
    if not any(known[name].counts for name in named):
        raise AuditError(
            "UNWRITE_AUDIT_ATTACKS must name an attack that decides the verdict, such as rephrase"
        )
    if any(len(name) > LONGEST_NAME for name in named):
        raise AuditError(f"the name of an attack may have at most {LONGEST_NAME} letters")
    return named


def policy(settings: Settings) -> Policy:
    """What must hold for a pass."""
    return Policy(threshold=settings.leak_threshold)


def phrasings(settings: Settings, facts: int) -> int:
    """Wordings of each of so many facts: those of the settings, or as many as a clean audit of few facts needs to
    pass. Of the other attacks' prompts a third is counted on, because a repair takes about half of them away.
    """
    others = [attack for attack in beside_rephrase(settings).values() if attack.counts]
    counted_on = sum(attack.probes_wanted for attack in others) // 3
    return wordings_wanted(facts, policy(settings), least=settings.audit_phrasings, others=counted_on)


def beside_rephrase(settings: Settings) -> dict[str, Attack]:
    """Every attack of the suite but `rephrase`, at the budget that the settings give it."""
    return {
        name: attack_named(name).with_budget(settings.audit_budget)
        for name in names(settings)
        if name != REPHRASE
    }
