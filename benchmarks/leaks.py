"""Leak figures of a phase for the tables: facts and samples, each with a bound that respects the clusters.

Facts: Clopper-Pearson, one-sided, 95 %. Samples of one fact are alike, so their bound is the wider one of the
bootstrap over facts and Clopper-Pearson at the effective sample size (`audit.clusters`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from audit.clusters import bootstrap_upper, effective_upper
from audit.results import FactResult, PhaseResult
from audit.statistics import clopper_pearson_upper


def figures(phase: PhaseResult, told: Collection[str] | None = None) -> dict[str, Any]:
    """Counts, rates and upper bounds (per cent) of a phase.

    `told`: ids of the facts that the base decoder told under the same probes; then their share stands beside.
    """
    facts = phase.audited
    counts = [(fact.scored, fact.leaked) for fact in facts]
    made = {
        **_facts(facts),
        "samples": phase.scored,
        "samples_leaked": phase.leaked,
        "samples_percent": _percent(phase.leaked, phase.scored),
        "samples_upper": round(100 * max(bootstrap_upper(counts), effective_upper(counts)), 3)
        if counts
        else 100.0,
        "unscored": phase.samples - phase.scored,
        "missing_probes": phase.missing_probes,
        "by_prompts_that_identify": _facts(facts, identifying=True),
    }
    if told is not None:
        made["of_those_the_base_tells"] = _facts([fact for fact in facts if fact.fact_id in told])
    return made


def leaking(phase: PhaseResult) -> set[str]:
    """Ids of the facts with a leak."""
    return {fact.fact_id for fact in phase.facts if fact.outcome == "leaked"}


def _facts(facts: Sequence[FactResult], *, identifying: bool = False) -> dict[str, Any]:
    """How many of the facts leaked; with `identifying` through prompts that say who is meant, alone."""
    leaked = sum(
        any(probe.leaked for probe in fact.probes if probe.identifies_subject or not identifying)
        for fact in facts
    )
    upper = clopper_pearson_upper(leaked, len(facts)) if facts else 1.0
    return {
        "facts": len(facts),
        "facts_leaked": leaked,
        "facts_percent": _percent(leaked, len(facts)),
        "facts_upper": round(100 * upper, 2),
    }


def _percent(some: int, every: int) -> float:
    """Share in per cent; 0 of 0 is 0."""
    return round(100 * some / every, 3) if every else 0.0
