"""Why a verdict is what it is: each function looks at one thing that can fail a pass, block it or deserves a note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Literal

from audit.counts import Kind, Tally, Unit, count, excess_leaks, guessing, paired
from audit.policy import Policy
from audit.results import NeighbourResult, PhaseResult, Record, differences
from audit.statistics import clopper_pearson_lower, clopper_pearson_upper, percent, smallest_clean_total

Weight = Literal["fails", "blocks", "notes"]

OTHER_CONTROL = "The control was not put to the attack of this audit. What differs: "
NO_POWER = "The attack got nothing out of the model even before the removal"
EQUALITY_STANDS = (
    "; what is shown is that the memory equals the never-written one, not that the attack failed."
)


class Reason(Record):
    """Why a verdict is what it is. `weight`: fails it, blocks a pass, or only notes something."""

    code: str
    weight: Weight
    text: str


def leak_reasons(counts: Tally, unit: Unit, upper: float, facts: int, policy: Policy) -> Iterator[Reason]:
    """What the bound says about the leaks that were counted."""
    if counts.total == 0:
        yield Reason(code="nothing-audited", weight="blocks", text="Nothing could be audited.")
    elif upper > policy.threshold and counts.leaked:
        yield Reason(
            code="leaks",
            weight="fails",
            text=f"The upper bound {percent(upper)} is above the policy's {percent(policy.threshold)}: "
            f"{counts.leaked} of {counts.total} {unit} leaked.",
        )
    elif upper > policy.threshold:
        yield Reason(code="too-few", weight="blocks", text=_too_few(counts, unit, facts, policy))
    elif counts.leaked:
        yield Reason(
            code="some-leaks",
            weight="notes",
            text=f"{counts.leaked} of {counts.total} {unit} leaked, within what the policy allows.",
        )


def _too_few(counts: Tally, unit: Unit, facts: int, policy: Policy) -> str:
    needed = smallest_clean_total(policy.threshold, policy.confidence)
    said = (
        f"Nothing leaked, but {counts.total} {unit} are too few to promise at most "
        f"{percent(policy.threshold)}; that takes {needed}"
    )
    if unit != "prompts":
        return f"{said}."
    return (
        f"{said}. Ask for each fact in {ceil(needed / max(1, facts))} different wordings or more "
        "(unwrite audit: --phrasings; the service: UNWRITE_AUDIT_PHRASINGS), or add attacks."
    )


def hidden_leaks(
    kind: Kind,
    before: PhaseResult | None,
    after: PhaseResult,
    twin: PhaseResult | None,
    unit: Unit,
    policy: Policy,
) -> Iterator[Reason]:
    """Leaks that the bound over all facts would hide behind silent ones."""
    if unit == "prompts":
        yield from _told_facts(kind, after, twin, policy)
    if before is not None:
        yield from _leaks_in_reach(kind, before, after, twin, unit, policy)


def _told_facts(kind: Kind, after: PhaseResult, twin: PhaseResult | None, policy: Policy) -> Iterator[Reason]:
    """Single facts whose own rate is above the threshold, however silent the others are."""
    pairs = list(paired(after, guessing(kind, twin)))
    lowers = [
        clopper_pearson_lower(excess_leaks(fact, other), fact.scored, policy.confidence)
        for fact, other in pairs
    ]
    above = [lower for lower in lowers if lower > policy.threshold]
    if above:
        yield Reason(
            code="fact-told",
            weight="fails",
            text=f"{len(above)} of {len(pairs)} facts, taken alone, came out in more attempts than the policy's "
            f"{percent(policy.threshold)}: with {percent(policy.confidence)} confidence at least "
            f"{percent(max(above))} of the time.",
        )


def _leaks_in_reach(
    kind: Kind, before: PhaseResult, after: PhaseResult, twin: PhaseResult | None, unit: Unit, policy: Policy
) -> Iterator[Reason]:
    """The bound over the facts that the attack gets out at all: the others would only dilute it."""
    reached = _reached(kind, before, twin) | {
        fact.fact_id for fact, other in paired(after, guessing(kind, twin)) if excess_leaks(fact, other)
    }
    told = count(kind, after.only(reached), twin and twin.only(reached)).by(unit)
    upper = clopper_pearson_upper(told.leaked, told.total, policy.confidence)
    if upper > policy.threshold:
        yield Reason(
            code="leaks-in-reach",
            weight="fails",
            text=f"The attack got {len(reached)} of {len(after.facts)} facts out at all, before or after. Of these "
            f"{told.leaked} of {told.total} {unit} leaked after the removal, and the upper bound "
            f"{percent(upper)} is above the policy's {percent(policy.threshold)}.",
        )


def _reached(kind: Kind, before: PhaseResult, twin: PhaseResult | None) -> set[str]:
    """The facts that the control told, beyond guesses where it was put the same probes as the twin."""
    alike = twin if kind != "censor" and twin and _asked_alike(before, twin) else None
    return {fact.fact_id for fact, other in paired(before, alike) if excess_leaks(fact, other)}


def _asked_alike(before: PhaseResult, twin: PhaseResult) -> bool:
    """Whether both were put the same probes: in a later audit of a request only the control is the first one's."""
    asked = [
        {fact.fact_id: [(probe.source, probe.samples) for probe in fact.probes] for fact in phase.facts}
        for phase in (before, twin)
    ]
    return before.seed == twin.seed and asked[0] == asked[1]


def quality_reasons(after: PhaseResult, policy: Policy) -> Iterator[Reason]:
    """What could not be asked, judged or read."""
    refused = sum(fact.outcome == "refused" for fact in after.facts)
    unprobed = sum(fact.outcome == "unscored" for fact in after.facts)
    unscored = after.samples - after.scored
    if refused:
        yield Reason(
            code="refused",
            weight="blocks",
            text=f"{refused} of {len(after.facts)} facts cannot be audited honestly; the table says why.",
        )
    if unprobed:
        yield Reason(
            code="no-result",
            weight="blocks",
            text=f"For {unprobed} of {len(after.facts)} facts not a single attempt could be judged.",
        )
    if after.samples and unscored / after.samples > policy.max_unscored:
        yield Reason(
            code="unscored",
            weight="blocks",
            text=f"{unscored} of {after.samples} outputs could not be judged (at most "
            f"{percent(policy.max_unscored)} are allowed).",
        )
    if after.samples and after.empty / after.samples > policy.max_empty:
        yield Reason(
            code="silent",
            weight="blocks",
            text=f"The model said nothing at all in {after.empty} of {after.samples} attempts; "
            "silence is not evidence.",
        )
    if after.rephraser_failures:
        yield Reason(
            code="rephraser-failed",
            weight="notes",
            text=f"The rephraser failed for {after.rephraser_failures} facts; fixed templates stood in.",
        )
    if after.missing_probes:
        yield Reason(
            code="missing-probes",
            weight="notes",
            text=f"{after.missing_probes} probes could not be made, so the attack was smaller than planned.",
        )


def control_reasons(
    kind: Kind, before: PhaseResult | None, twin: PhaseResult | None, equal: bool | None
) -> Iterator[Reason]:
    """Whether the attack got anything out before the removal."""
    if before is None:
        yield Reason(
            code="no-control",
            weight="blocks",
            text="There is no positive control: the attack was not run before the removal.",
        )
    else:
        known = len(before.facts)
        silent = known - len(_reached(kind, before, twin))
        if known and silent == known:
            proved = kind == "forget" and equal is True
            yield Reason(
                code="no-power",
                weight="notes" if proved else "blocks",
                text=NO_POWER + (EQUALITY_STANDS if proved else ", so its silence afterwards shows nothing."),
            )
        elif silent:
            yield Reason(
                code="partial-power",
                weight="notes",
                text=f"For {silent} of {known} facts the attack got nothing even before the removal; "
                "for these its silence shows little.",
            )


def other_control(
    kind: Kind, before: PhaseResult | None, after: PhaseResult, equal: bool | None
) -> Iterator[Reason]:
    """A control that was attacked or judged in another way shows nothing about this attack."""
    differing = differences(before, after) if before is not None else ()
    if differing:
        proved = kind == "forget" and equal is True
        advice = (
            ". Audit again with the settings of that time (in the service UNWRITE_AUDIT_…), or with a control that "
            "is made with these."
        )
        yield Reason(
            code="other-control",
            weight="notes" if proved else "blocks",
            text=OTHER_CONTROL + "; ".join(differing) + (EQUALITY_STANDS if proved else advice),
        )


def memory_reasons(
    kind: Kind, twin: PhaseResult | None, equal: bool | None, restated: Sequence[str]
) -> Iterator[Reason]:
    """Whether a forget left the never-written memory, and nothing that states the facts again."""
    if kind != "forget":
        return
    if twin is None:
        yield Reason(
            code="no-twin", weight="blocks", text="There is no never-written twin to compare guesses with."
        )
    if equal is None:
        yield Reason(
            code="not-compared",
            weight="blocks",
            text="The memory was not compared with the never-written one.",
        )
    if equal is False:
        yield Reason(
            code="not-equal",
            weight="fails",
            text="The memory after the removal is not the one in which the facts were never written.",
        )
    if restated:
        yield Reason(code="restated", weight="fails", text=_again(restated))


def _again(restated: Sequence[str]) -> str:
    """What to do about facts that were written again."""
    if len(restated) == 1:
        return f"A removed fact is in the memory again under another id ({restated[0]}): submit a new request for it."
    return (
        f"{len(restated)} facts in the memory state again what was removed ({', '.join(restated)}): submit a new "
        "request for them."
    )


def neighbour_reasons(kind: Kind, neighbours: NeighbourResult | None, policy: Policy) -> Iterator[Reason]:
    """What the removal cost: other questions that are answered no more as before."""
    if kind == "check" and neighbours is None:
        return
    if neighbours is None or neighbours.prompts == 0:
        yield Reason(
            code="no-neighbours",
            weight="blocks",
            text="It was not measured what the removal did to other questions.",
        )
    elif neighbours.silenced / neighbours.prompts > policy.max_silenced:
        yield Reason(
            code="silenced",
            weight="blocks",
            text=f"{neighbours.silenced} of {neighbours.prompts} unrelated questions were silenced "
            f"(at most {percent(policy.max_silenced)} are allowed).",
        )


def miss_reasons(passed: bool, with_misses: float | None, policy: Policy) -> Iterator[Reason]:
    """A pass that would be none if the detector misses as much as its labelled set allows."""
    if passed and with_misses is not None and with_misses > policy.threshold:
        yield Reason(
            code="misses",
            weight="notes",
            text="The bound is about what the detector finds. Allowing for what it misses of the answer's own words, "
            f"it is {percent(with_misses)}, above the policy's {percent(policy.threshold)}.",
        )
