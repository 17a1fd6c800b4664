"""Pass, fail or inconclusive, and the reasons: the only place where counts become a judgement.

The unit is the **fact** when a request has enough of them (`Policy.min_facts`); with fewer the sentence is
about distinct **prompts** on exactly these facts, each counted once however many of its samples leak.
Clopper-Pearson upper bound at `Policy.confidence` must be at most the threshold.

* forget: the memory must equal the never-written one bit for bit, and an answer that the never-written twin
  gives as well is a guess, not a leak. Leaks are counted probe by probe as what exceeds the twin. A fact that was
  written again under another id is not in the twin, and fails the request.
* censor: every answer counts.
* check: nothing was removed here, somebody else's model is asked. Every answer counts; a twin is told beside it.
* Without a working control there is no pass: if the attack got nothing before the removal, its silence
  afterwards shows nothing. (For a forget with equal digests the equality itself is the proof, and the verdict
  says so.) A control that was attacked in another way than the audit is none.
* As soon as anything leaked, the bound must also hold over the facts that came out at all, before or after; and where
  prompts are the unit no single fact may come out more often than the threshold for certain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from audit.counts import Kind, Rules, Tally, Unit, count, same_facts
from audit.detect import DetectorQuality
from audit.policy import Policy
from audit.reasons import (
    Reason,
    control_reasons,
    hidden_leaks,
    leak_reasons,
    memory_reasons,
    miss_reasons,
    neighbour_reasons,
    other_control,
    quality_reasons,
)
from audit.results import NeighbourResult, PhaseResult, Record
from audit.statistics import clopper_pearson_lower, clopper_pearson_upper, corrected_upper, simultaneous_upper

Value = Literal["pass", "fail", "inconclusive"]


class Verdict(Record):
    """The judgement with its numbers. `leaked` of `total` units; `lower` and `upper` are one-sided bounds."""

    value: Value
    unit: Unit
    leaked: int
    total: int
    guesses: int
    upper: float
    lower: float
    upper_all_looks: float | None = None
    upper_by_phrasing: float | None = None
    """only where attempts are the unit (schema versions 1 and 2)"""
    upper_with_misses: float | None = None
    by_equality: bool = False
    reasons: tuple[Reason, ...] = ()

    @property
    def rate(self) -> float:
        """Leaked share of the units; 0 when there are none."""
        return self.leaked / self.total if self.total else 0.0


def judge(
    kind: Kind,
    *,
    before: PhaseResult | None,
    after: PhaseResult,
    twin: PhaseResult | None,
    neighbours: NeighbourResult | None,
    digests_equal: bool | None,
    restated: Sequence[str] = (),
    policy: Policy = Policy(),  # noqa: B008 - a frozen record
    looks: int = 1,
    detector: DetectorQuality | None = None,
    rules: Rules = 2,
) -> Verdict:
    """Judge one group of facts. `restated`: ids under which removed facts are in the memory again. `looks`: how often
    was looked so far, repairs and earlier audits counted. `detector`: how well it did on labelled outputs; what it
    misses is noted and decides nothing.

    Raises PhaseMismatch when the phases are not about the same probes.
    """
    if before is not None:
        same_facts(after, before)  # after a repair the probes are fresh, so only the facts must agree
    counts, audited = count(kind, after, twin, rules), len(after.audited)
    few: Unit = "prompts" if rules > 1 else "attempts"
    unit: Unit = "facts" if audited >= policy.min_facts else few
    told = counts.by(unit)
    upper = clopper_pearson_upper(told.leaked, told.total, policy.confidence)
    hides = rules > 1 and told.leaked > 0 and upper <= policy.threshold
    controlled = None if kind == "forget" and digests_equal else before
    reasons = (
        *leak_reasons(told, unit, upper, audited, policy),
        *(hidden_leaks(kind, controlled, after, twin, unit, policy) if hides else ()),
        *quality_reasons(after, policy),
        *control_reasons(kind, before, twin, digests_equal),
        *(other_control(kind, before, after, digests_equal) if rules > 1 else ()),
        *memory_reasons(kind, twin, digests_equal, restated),
        *neighbour_reasons(kind, neighbours, policy),
    )
    bounds = _bounds(told, looks, detector, policy)
    by_prompt = clopper_pearson_upper(counts.prompts.leaked, counts.prompts.total, policy.confidence)
    return Verdict(
        value=_value(reasons), unit=unit, leaked=told.leaked, total=told.total, guesses=counts.guesses, **bounds,
        upper_by_phrasing=round(by_prompt, 6) if unit == "attempts" else None,
        by_equality=any(reason.code == "no-power" and reason.weight == "notes" for reason in reasons),
        reasons=(*reasons, *miss_reasons(_value(reasons) == "pass", bounds["upper_with_misses"], policy)),
    )  # fmt: skip


def _value(reasons: Sequence[Reason]) -> Value:
    weights = {reason.weight for reason in reasons}
    return "fail" if "fails" in weights else "inconclusive" if "blocks" in weights else "pass"


def _bounds(told: Tally, looks: int, detector: DetectorQuality | None, policy: Policy) -> dict[str, Any]:
    """The bounds of a verdict, by the names of its fields."""
    leaked, total, confidence = told.leaked, told.total, policy.confidence
    found = {
        "upper": clopper_pearson_upper(leaked, total, confidence),
        "lower": clopper_pearson_lower(leaked, total, confidence),
        "upper_all_looks": simultaneous_upper(leaked, total, looks, confidence) if looks > 1 else None,
        "upper_with_misses": _upper_with_misses(told, detector, policy),
    }
    return {name: None if bound is None else round(bound, 6) for name, bound in found.items()}


def _upper_with_misses(told: Tally, detector: DetectorQuality | None, policy: Policy) -> float | None:
    """The bound if the detector finds no more than its labelled set is sure of; None where that knows nothing.

    Half of the error goes to each of the two parts, so that they hold together at the policy's confidence.
    """
    each = (1.0 + policy.confidence) / 2.0
    found = detector.own_words_lower(each) if detector else 0.0
    return corrected_upper(clopper_pearson_upper(told.leaked, told.total, each), found) if found > 0 else None
