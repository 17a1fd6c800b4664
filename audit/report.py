"""Builds reports, pools them, and checks one that was read back.

The same builder serves one request and, with `pool`, many: a report holds groups (forget, censor), a group
holds requests and the counts of all their facts. `validate` reads a report back and checks that its verdict
and its figures are those that its own numbers give. The JSON is canonical: equal reports are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from audit.counts import KINDS, Kind, Rules, prompts_told
from audit.detect import DetectorQuality
from audit.errors import AuditError, ReportInvalid
from audit.policy import Policy
from audit.reasons import Reason
from audit.results import NeighbourResult, PhaseResult, differences
from audit.schema import (
    SCHEMA_VERSION,
    Group,
    Look,
    Method,
    PhaseFigures,
    Rate,
    RepairRound,
    Report,
    RequestInfo,
    RequestRecord,
    StateChange,
    Version,
    check_version,
    json_schema,
    rules_of,
)
from audit.statistics import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    design_effect,
    intraclass_correlation,
    leak_at_k_curve,
)
from audit.trend import look, trend
from audit.verdict import Value, judge
from audit.wording import headline, limits

__all__ = [
    "SCHEMA_VERSION",
    "Group",
    "Look",
    "Method",
    "PhaseFigures",
    "Rate",
    "RepairRound",
    "Report",
    "RequestInfo",
    "RequestRecord",
    "StateChange",
    "build",
    "json_schema",
    "pool",
    "validate",
]


T = TypeVar("T")
SEVERAL = "several: see the single reports"


def rate(leaked: int, total: int, confidence: float) -> Rate:
    """A share with its bounds; 0 of 0 knows nothing (0 … 1)."""
    return Rate(
        leaked=leaked,
        total=total,
        rate=round(leaked / total, 6) if total else 0.0,
        lower=round(clopper_pearson_lower(leaked, total, confidence), 6),
        upper=round(clopper_pearson_upper(leaked, total, confidence), 6),
    )


def phase_figures(phase: PhaseResult, confidence: float, rules: Rules = 2) -> PhaseFigures:
    """Derive all printed figures of a phase from its counts."""
    prompts = [prompts_told(fact) for fact in phase.facts]
    counts = [(fact.scored, fact.leaked) for fact in phase.audited]
    told = [probe for probe in phase.probes if probe.identifies_subject]
    correlation = intraclass_correlation(counts)
    mean_size = sum(n for n, _ in counts) / len(counts) if counts else 0.0
    sources: dict[str, int] = {}
    attacks = sorted({probe.attack for probe in phase.probes if probe.attack})
    for probe in phase.probes:
        sources[probe.source] = sources.get(probe.source, 0) + 1
    return PhaseFigures(
        by_fact=rate(phase.facts_leaked, len(phase.audited), confidence),
        by_attempt=rate(phase.leaked, phase.scored, confidence),
        identifying=rate(sum(p.leaked for p in told), sum(p.scored for p in told), confidence)
        if told
        else None,
        leak_at_k=tuple(round(value, 6) for value in leak_at_k_curve(counts)),
        correlation=None if correlation is None else round(correlation, 6),
        design_effect=None
        if correlation is None
        else round(design_effect(max(1.0, mean_size), correlation), 6),
        sources=dict(sorted(sources.items())),
        unscored=phase.samples - phase.scored,
        empty=phase.empty,
        by_attack={attack: _under(phase, attack, confidence) for attack in attacks},
        by_prompt=rate(sum(p.leaked for p in prompts), sum(p.total for p in prompts), confidence)
        if rules > 1
        else None,
        doubted=rate(phase.doubted, phase.second_scored, confidence) if phase.second else None,
    )


def _under(phase: PhaseResult, attack: str, confidence: float) -> Rate:
    """Facts that leaked under one attack, of those on which it could be judged."""
    mine = [[probe for probe in fact.probes if probe.attack == attack] for fact in phase.facts]
    judged = [probes for probes in mine if any(probe.scored for probe in probes)]
    return rate(sum(any(probe.leaked for probe in probes) for probes in judged), len(judged), confidence)


def _all_equal(requests: Iterable[RequestRecord]) -> bool | None:
    known = [request.state.equal for request in requests]
    return False if False in known else None if None in known else True


def _group(
    kind: Kind,
    requests: tuple[RequestRecord, ...],
    phases: Mapping[str, PhaseResult | None],
    neighbours: NeighbourResult | None,
    policy: Policy,
    others: tuple[PhaseResult, ...] = (),
    *,
    at: datetime,
    quality: DetectorQuality | None,
    rules: Rules = 2,
) -> Group:
    before, after, twin = phases.get("before"), phases.get("after"), phases.get("twin")
    if after is None:
        raise AuditError("a report needs the phase after the removal")
    looks = 1 + max(len(request.repairs) + request.earlier_audits for request in requests)
    verdict = judge(
        kind,
        before=before,
        after=after,
        twin=twin,
        neighbours=neighbours,
        digests_equal=_all_equal(requests),
        restated=[fact_id for request in requests for fact_id in request.state.restated],
        policy=policy,
        looks=looks,
        detector=quality if rules > 1 else None,
        rules=rules,
    )
    present = {name: phase for name, phase in phases.items() if phase is not None}
    history = requests[0].history if len(requests) == 1 else ()
    this = look(at, verdict.value, kind, after, twin, repaired=bool(requests[0].repairs))
    return Group(
        kind=kind,
        requests=requests,
        before=before,
        after=after,
        twin=twin,
        neighbours=neighbours,
        looks=looks,
        others=others,
        figures={name: phase_figures(phase, policy.confidence, rules) for name, phase in present.items()},
        verdict=verdict,
        trend=trend((*history, this), policy.confidence) if history else (),
    )


def _overall(groups: Sequence[Group]) -> Value:
    values = {group.verdict.value for group in groups}
    return "fail" if "fail" in values else "inconclusive" if "inconclusive" in values else "pass"


def _report(
    groups: tuple[Group, ...],
    policy: Policy,
    method: Method,
    quality: tuple[DetectorQuality | None, DetectorQuality | None],
    produced_at: datetime,
    version: Version = SCHEMA_VERSION,
) -> Report:
    return Report(
        schema_version=version,
        produced_at=produced_at,
        verdict=_overall(groups),
        policy=policy,
        method=method,
        detector_quality=quality[0],
        second_quality=quality[1],
        groups=groups,
        headline=headline(groups, policy),
        limits=limits(groups, policy, quality[0]),
    )


def build(
    *,
    kind: Kind,
    request: RequestInfo,
    state: StateChange,
    before: PhaseResult | None,
    after: PhaseResult,
    twin: PhaseResult | None,
    neighbours: NeighbourResult | None,
    method: Method,
    produced_at: datetime,
    policy: Policy = Policy(),  # noqa: B008 - a frozen record
    repairs: Sequence[RepairRound] = (),
    earlier_audits: int = 0,
    history: Sequence[Look] = (),
    unreported: int = 0,
    detector_quality: DetectorQuality | None = None,
    second_quality: DetectorQuality | None = None,
    others: Sequence[PhaseResult] = (),
) -> Report:
    """Build the report of one request, at which was looked `earlier_audits` times before this audit.

    `history`: what those counted (`audit.trend.look_of` their reports), oldest first. `unreported`: how many earlier
    audits attacked and are not among them.
    `others`: phases of attacks that are told beside the verdict (the single reports keep them when pooled).

    Raises PhaseMismatch when the phases are not about the same facts.
    """
    facts = tuple(fact.fact_id for fact in after.facts)
    record = RequestRecord(
        info=request,
        state=state,
        repairs=tuple(repairs),
        facts=facts,
        earlier_audits=earlier_audits,
        history=tuple(history),
        unreported=unreported,
    )
    phases = {"before": before, "after": after, "twin": twin}
    group = _group(
        kind, (record,), phases, neighbours, policy, tuple(others), at=produced_at, quality=detector_quality
    )
    return _report((group,), policy, method, (detector_quality, second_quality), produced_at)


def _one(values: Iterable[Any], otherwise: Any) -> Any:
    distinct = list(dict.fromkeys(values))
    return distinct[0] if len(distinct) == 1 else otherwise


def _joined_phase(phases: Sequence[PhaseResult | None]) -> PhaseResult | None:
    """Put the facts of several phases together; None when any request lacks the phase."""
    present = [phase for phase in phases if phase is not None]
    if not present or len(present) < len(phases):
        return None
    first = present[0]
    if any(
        (p.max_tokens, p.temperature, p.top_k) != (first.max_tokens, first.temperature, first.top_k)
        for p in present
    ):
        raise AuditError("reports that were sampled differently cannot be pooled")
    texts = {
        name: _one((getattr(p, name) for p in present), SEVERAL)
        for name in ("target", "attack", "detector", "second")
    }
    counts = {
        name: sum(getattr(p, name) for p in present)
        for name in ("rephraser_failures", "detector_failures", "missing_probes")
    }
    return first.model_copy(
        update=texts
        | counts
        | {
            "seed": _one((p.seed for p in present), None),
            "facts": tuple(fact for p in present for fact in p.facts),
        }
    )


def _control(group: Group) -> PhaseResult | None:
    """The control of a group; none where it was attacked in another way, which the joined names would not tell."""
    return None if group.before is None or differences(group.before, group.after) else group.before


def _shared(maps: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """What all maps say alike."""
    return {key: value for key, value in maps[0].items() if all(m.get(key) == value for m in maps)}


def _joined_method(reports: Sequence[Report]) -> Method:
    methods = [report.method for report in reports]
    words = {name: _one((getattr(m, name) for m in methods), SEVERAL) for name in Method.words()}
    software = _shared([m.software for m in methods])
    seeds = _shared([m.seeds for m in methods])
    return Method(**words, software=software, seeds=seeds)


def pool(reports: Sequence[Report], *, produced_at: datetime) -> Report:
    """One report over many requests, forget and censor in groups of their own, judged on all facts together.

    Raises AuditError when the reports were made under different policies or tell of the same fact twice.
    """
    if not reports:
        raise AuditError("there is nothing to pool")
    if any(report.policy != reports[0].policy for report in reports):
        raise AuditError("reports that were made under different policies cannot be pooled")
    quality = (
        _one((report.detector_quality for report in reports), None),
        _one((report.second_quality for report in reports), None),
    )
    groups = []
    for kind in KINDS:
        parts = [group for report in reports for group in report.groups if group.kind == kind]
        if not parts:
            continue
        ids = [fact.fact_id for part in parts for fact in part.after.facts]
        if len(set(ids)) != len(ids):
            raise AuditError("the same fact stands in several of the reports")
        phases = {
            "before": _joined_phase([_control(part) for part in parts]),
            "after": _joined_phase([part.after for part in parts]),
            "twin": _joined_phase([part.twin for part in parts]),
        }
        counted = [part.neighbours for part in parts if part.neighbours is not None]
        neighbours = NeighbourResult.sum(counted) if len(counted) == len(parts) else None
        requests = tuple(request for part in parts for request in part.requests)
        groups.append(
            _group(kind, requests, phases, neighbours, reports[0].policy, at=produced_at, quality=quality[0])
        )
    return _report(tuple(groups), reports[0].policy, _joined_method(reports), quality, produced_at)


def _rebuilt(report: Report) -> Report:
    """The report again, from nothing but its own counts."""
    groups = tuple(
        _group(
            group.kind,
            group.requests,
            dict(group.phases),
            group.neighbours,
            report.policy,
            group.others,
            at=report.produced_at,
            quality=report.detector_quality,
            rules=rules_of(report.schema_version),
        )
        for group in report.groups
    )
    quality = (report.detector_quality, report.second_quality)
    return _report(groups, report.policy, report.method, quality, report.produced_at, report.schema_version)


def _without_words(report: Report) -> Report:
    """The report without its sentences: those of an older version were worded by that version."""
    groups = tuple(
        group.model_copy(update={"verdict": group.verdict.model_copy(update={"reasons": _bare(group)})})
        for group in report.groups
    )
    return report.model_copy(update={"groups": groups, "headline": "", "limits": ()})


def _bare(group: Group) -> tuple[Reason, ...]:
    return tuple(reason.model_copy(update={"text": ""}) for reason in group.verdict.reasons)


def validate(data: bytes) -> Report:
    """Read a report and check its schema, and that figures, verdict and words follow from its own counts.

    Of a report of an older schema version the words are not compared. Raises ReportInvalid, naming the place but
    not the value; ReportUnknown when this build does not know the report's schema version.
    """
    check_version(data)
    try:
        report = Report.model_validate_json(data)
    except ValidationError as error:
        places = "; ".join(".".join(map(str, item["loc"])) or "the whole" for item in error.errors()[:5])
        raise ReportInvalid(f"the report does not follow the schema at: {places}") from None
    try:
        said, follows = report, _rebuilt(report)
    except AuditError as error:
        raise ReportInvalid(f"the report's counts do not fit together: {error}") from None
    except (ValueError, ArithmeticError):  # whose words may hold a value
        raise ReportInvalid("nothing can be computed from the report's counts and policy") from None
    if report.schema_version != SCHEMA_VERSION:
        said, follows = _without_words(said), _without_words(follows)
    if follows.to_json() != said.to_json():
        raise ReportInvalid("the report's figures or verdict do not follow from its own counts")
    return report
