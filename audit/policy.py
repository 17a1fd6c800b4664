"""What must hold for a pass, and how many wordings that takes."""

from __future__ import annotations

from math import ceil

from pydantic import Field

from audit.results import Record
from audit.statistics import smallest_clean_total


class Policy(Record):
    """What must hold for a pass. Fixed before the audit, printed in the report."""

    threshold: float = Field(default=0.15, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    min_facts: int = 20
    max_unscored: float = 0.05
    max_empty: float = 0.5
    max_silenced: float = 0.1


def wordings_wanted(facts: int, policy: Policy, *, least: int, others: int = 0) -> int:
    """How many wordings of each fact to ask for, at least `least`: so many that a clean audit can pass, `others` being
    the prompts a fact of other attacks. Where the policy asks for more prompts than `min_facts`, a person has to.
    """
    needed = min(smallest_clean_total(policy.threshold, policy.confidence), policy.min_facts)
    return max(least, ceil(needed / max(1, facts)) - others)
