"""Two reports side by side: what is the same, what changed, and what cannot be compared at all.

Made of the counts in the reports and of nothing else, so it holds no personal data. A difference is called a change
only where the two intervals do not touch; everything else may be chance, and the sentences say so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

from audit.counts import KINDS, Kind, Unit
from audit.results import FactResult, NeighbourResult, PhaseResult, Record
from audit.schema import Group, Rate, Report
from audit.verdict import Value
from audit.wording import KIND_WORDS, top_k_words

Version = Literal["1"]
Change = Literal["same", "lower", "higher", "within chance"]
FactChange = Literal["same", "told no more", "told now", "not in both"]
SAMPLING = ("max_tokens", "temperature", "top_k")


class Side(Record):
    """One of the two reports. `sha256`: of its canonical JSON."""

    sha256: str
    produced_at: datetime
    verdict: Value
    requests: tuple[str, ...]
    schema_version: str


class Pair(Record):
    """One thing in both reports, in words; None where a report does not have it."""

    name: str
    a: str | None
    b: str | None

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.a == self.b


class RatePair(Record):
    """One leak rate in both reports. `change` only where both have it."""

    name: str
    a: Rate | None
    b: Rate | None
    change: Change | None


class FactPair(Record):
    """One fact after the removal: «leaked of scored» in both reports."""

    fact_id: str
    a: str | None
    b: str | None
    change: FactChange


class GroupPair(Record):
    """All facts of one kind of request in both reports."""

    kind: Kind
    verdicts: tuple[Value | None, Value | None]
    units: tuple[Unit | None, Unit | None]
    bounds: tuple[float | None, float | None]
    rates: tuple[RatePair, ...]
    attacks: tuple[RatePair, ...]
    facts: tuple[FactPair, ...]
    neighbours: tuple[NeighbourResult | None, NeighbourResult | None]
    state: tuple[Pair, ...]


class Comparison(Record):
    """Two reports side by side."""

    comparison_version: Version = "1"
    a: Side
    b: Side
    groups: tuple[GroupPair, ...]
    method: tuple[Pair, ...]
    not_comparable: tuple[str, ...]

    def to_json(self) -> bytes:
        """Canonical JSON without personal data, UTF-8, ending in a line feed."""
        data = self.model_dump(mode="json")
        return (json.dumps(data, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()

    def to_html(self) -> bytes:
        """One self-contained page: no network, no script."""
        from audit.compare_page import render

        return render(self)


def compare(a: Report, b: Report) -> Comparison:
    """Put two reports side by side, in this order."""
    left, right = ({group.kind: group for group in report.groups} for report in (a, b))
    kinds = [kind for kind in KINDS if kind in left or kind in right]
    return Comparison(
        a=_side(a),
        b=_side(b),
        groups=tuple(_groups(kind, left.get(kind), right.get(kind)) for kind in kinds),
        method=tuple(_method(a, b)),
        not_comparable=tuple(_not_comparable(a, b, left, right)),
    )


def _side(report: Report) -> Side:
    return Side(
        sha256=hashlib.sha256(report.to_json()).hexdigest(),
        produced_at=report.produced_at,
        verdict=report.verdict,
        requests=tuple(record.info.request_id for group in report.groups for record in group.requests),
        schema_version=report.schema_version,
    )


def _groups(kind: Kind, a: Group | None, b: Group | None) -> GroupPair:
    return GroupPair(
        kind=kind,
        verdicts=(a.verdict.value if a else None, b.verdict.value if b else None),
        units=(a.verdict.unit if a else None, b.verdict.unit if b else None),
        bounds=(a.verdict.upper if a else None, b.verdict.upper if b else None),
        rates=tuple(_rates(a, b)),
        attacks=tuple(_attacks(a, b)),
        facts=tuple(_facts(a, b)),
        neighbours=(a.neighbours if a else None, b.neighbours if b else None),
        state=tuple(_state(a, b)),
    )


def _rate_pair(name: str, a: Rate | None, b: Rate | None) -> RatePair:
    change: Change | None = None
    if a and b and a.total and b.total:
        apart: Change = "lower" if b.upper < a.lower else "higher" if b.lower > a.upper else "within chance"
        change = "same" if a == b else apart
    return RatePair(name=name, a=a, b=b, change=change)


def _rates(a: Group | None, b: Group | None) -> Iterator[RatePair]:
    for phase in ("before", "after", "twin"):
        left, right = (group.figures.get(phase) if group else None for group in (a, b))
        for unit, of in (("facts", "by_fact"), ("prompts", "by_prompt"), ("attempts", "by_attempt")):
            rates = (getattr(left, of, None), getattr(right, of, None))
            if any(rates):
                yield _rate_pair(f"{phase}, {unit}", *rates)


def _attacks(a: Group | None, b: Group | None) -> Iterator[RatePair]:
    left, right = (dict(group.figures["after"].by_attack) if group else {} for group in (a, b))
    for attack in sorted({*left, *right}):
        yield _rate_pair(attack, left.get(attack), right.get(attack))


def _facts(a: Group | None, b: Group | None) -> Iterator[FactPair]:
    left, right = ({fact.fact_id: fact for fact in group.after.facts} if group else {} for group in (a, b))
    for fact_id in dict.fromkeys((*left, *right)):
        was, now = left.get(fact_id), right.get(fact_id)
        yield FactPair(fact_id=fact_id, a=_told(was), b=_told(now), change=_fact_change(was, now))


def _told(fact: FactResult | None) -> str | None:
    return None if fact is None else f"{fact.leaked} of {fact.scored}" if fact.scored else "not judged"


def _fact_change(was: FactResult | None, now: FactResult | None) -> FactChange:
    if was is None or now is None:
        return "not in both"
    if bool(was.leaked) == bool(now.leaked):
        return "same"
    return "told now" if now.leaked else "told no more"


def _state(a: Group | None, b: Group | None) -> Iterator[Pair]:
    """The memory's states, where both groups are about one request."""
    records = [group.requests[0] if group and len(group.requests) == 1 else None for group in (a, b)]
    if not any(records):
        return
    for name, field in (
        ("request", "request_id"), ("bank", "bank"), ("revision after", "revision_after"),
        ("digest before", "digest_before"), ("digest after", "digest_after"),
        ("digest, never written", "digest_never_written"), ("entries after", "entries_after"),
    ):  # fmt: skip
        values = [
            None if record is None else getattr(record.info if field == "request_id" else record.state, field)
            for record in records
        ]
        if any(value not in (None, "") for value in values):
            yield Pair(name=name, a=_text(values[0]), b=_text(values[1]))


def _method(a: Report, b: Report) -> Iterator[Pair]:
    """Everything that the reports say of how they were made."""
    sides = [_told_method(report) for report in (a, b)]
    for name in dict.fromkeys((*sides[0], *sides[1])):
        yield Pair(name=name, a=_text(sides[0].get(name)), b=_text(sides[1].get(name)))


def _told_method(report: Report) -> dict[str, object]:
    phase = report.groups[0].after
    said: dict[str, object] = {name: getattr(report.method, name) for name in report.method.words()}
    said |= {"attack": phase.attack, "detector": phase.detector, "second opinion": phase.second}
    said |= {name.replace("_", " "): getattr(phase, name) for name in SAMPLING}
    said["top k"] = top_k_words(phase.top_k)
    said |= {f"policy: {name.replace('_', ' ')}": value for name, value in report.policy.model_dump().items()}
    said |= {f"software: {name}": version for name, version in sorted(report.method.software.items())}
    return {name: value for name, value in said.items() if value not in ("", None)}


def _text(value: object) -> str | None:
    return None if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _not_comparable(
    a: Report, b: Report, left: Mapping[Kind, Group], right: Mapping[Kind, Group]
) -> Iterator[str]:
    """What the two reports do not allow to compare, in words."""
    for kind in KINDS:
        if (kind in left) != (kind in right):
            yield f"{KIND_WORDS[kind]}: only report {'A' if kind in left else 'B'} has such facts."
        elif kind in left:
            yield from _group_differences(KIND_WORDS[kind], left[kind], right[kind])
    if a.policy != b.policy:
        yield "The policies differ: the same numbers may get other verdicts. Compare rates and bounds, not verdicts."
    if a.schema_version != b.schema_version:
        yield "The reports follow different versions of the schema; the older one says less."
    for name in ("checkpoint", "decoder", "model"):
        if getattr(a.method, name) != getattr(b.method, name):
            yield f"The {name} differs: a difference may come from it, not from a removal."


def _group_differences(name: str, a: Group, b: Group) -> Iterator[str]:
    mine, theirs = ({fact.fact_id for fact in group.after.facts} for group in (a, b))
    if not mine & theirs:
        yield f"{name}: the reports share no fact. Rates may be put side by side only as rates of different facts."
    elif mine != theirs:
        both, only_a, only_b = len(mine & theirs), len(mine - theirs), len(theirs - mine)
        yield f"{name}: {both} facts are in both, {only_a} only in A, {only_b} only in B."
    if mine & theirs and not _requests(a) & _requests(b):
        yield (
            f"{name}: the reports are of different requests, and their facts are paired by id alone. The pairs mean "
            "something only if both were made of the same list of facts."
        )
    if a.verdict.unit != b.verdict.unit:
        yield f"{name}: A counts {a.verdict.unit}, B counts {b.verdict.unit}: the bounds are about different things."
    yield from _phase_differences(name, a.after, b.after)
    if a.kind == "forget" and (a.twin is None) != (b.twin is None):
        yield f"{name}: only one report has a never-written twin, so guesses are taken off in that one only."
    if (a.before is None) != (b.before is None):
        yield f"{name}: only one report has a positive control."


def _requests(group: Group) -> set[str]:
    return {record.info.request_id for record in group.requests}


def _phase_differences(name: str, a: PhaseResult, b: PhaseResult) -> Iterator[str]:
    if a.attack != b.attack:
        yield f"{name}: the attacks differ. A stronger attack finds more in the same model."
    if any(getattr(a, field) != getattr(b, field) for field in SAMPLING):
        yield f"{name}: the samples were drawn differently (temperature, top-k or length)."
    if a.detector != b.detector:
        yield f"{name}: the detectors differ. A detector that knows more forms of an answer finds more."
    elif a.seed != b.seed:
        yield f"{name}: the phrasings and samples were drawn anew (other seeds), so small differences are expected."
