"""The looks of one request in order: what each re-check found, and what all of them together allow to say.

Two bounds on the chance that one more attempt (on exactly these facts) tells the answer. `upper` is Clopper-Pearson
on one look; who looks often enough will see it fail. `anytime` (betting, `audit.eprocess`) adds the attempts
of all looks up and holds at all of them together, whenever one stops. It speaks of the chance averaged over these
looks: a model that began to tell yesterday shows in the newest `upper` first.

Every look draws its phrasings and samples anew; facts are the same ones each time, so they are never added up as
though they were new. Phrasings come from finite pools, and nothing in a report tells whether an earlier look asked
one already: the bound by phrasing holds over the phrasings that are drawn. And `anytime` holds at all looks only where
none was left out; how many were (audits that were stopped or failed) is said beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from audit.counts import Kind, count
from audit.eprocess import anytime_upper
from audit.results import PhaseResult
from audit.schema import Look, Report, TrendPoint
from audit.statistics import clopper_pearson_upper
from audit.verdict import Value


def look_of(report: Report) -> Look:
    """What the report of one request counted. Raises ValueError for a pooled report."""
    if len(report.groups) != 1 or len(report.groups[0].requests) != 1:
        raise ValueError("a look is the audit of one request")
    (group,) = report.groups
    repaired = bool(group.requests[0].repairs)
    return look(report.produced_at, report.verdict, group.kind, group.after, group.twin, repaired=repaired)


def look(
    at: datetime, verdict: Value, kind: Kind, after: PhaseResult, twin: PhaseResult | None, *, repaired: bool
) -> Look:
    """One audit as a look: counted in attempts, whatever the unit of its verdict."""
    counts = count(kind, after, twin)
    return Look(
        at=at,
        verdict=verdict,
        leaked=counts.attempts.leaked,
        attempts=counts.attempts.total,
        phrasings_leaked=counts.prompts.leaked,
        phrasings=counts.prompts.total,
        attack=after.attack,
        detector=after.detector,
        repaired=repaired,
    )


def trend(looks: Iterable[Look], confidence: float) -> tuple[TrendPoint, ...]:
    """Each look with its bounds. Counting begins anew where looks are not about the same thing any more."""
    points: list[TrendPoint] = []
    since: list[Look] = []
    for one in looks:
        since = [*since, one] if since and _alike(since[-1], one) else [one]
        points.append(_point(one, since, confidence))
    return tuple(points)


def _alike(before: Look, after: Look) -> bool:
    """Whether the same model was attacked in the same way, and judged in the same way."""
    same = (before.attack, before.detector) == (after.attack, after.detector)
    return same and not after.repaired


def to_json(points: Sequence[TrendPoint], *, unreported: int = 0, unread: int = 0) -> bytes:
    """The points as canonical JSON without personal data, oldest first, and how many audits are not among them:
    those that left no report, and those whose report cannot be read.
    """
    data = {
        "points": [point.model_dump(mode="json") for point in points],
        "unreported": unreported,
        "unread": unread,
    }
    return (json.dumps(data, indent=1, sort_keys=True) + "\n").encode()


def _point(one: Look, since: Sequence[Look], confidence: float) -> TrendPoint:
    leaked, attempts, told, asked = (
        sum(getattr(seen, name) for seen in since)
        for name in ("leaked", "attempts", "phrasings_leaked", "phrasings")
    )
    return TrendPoint(
        look=one,
        anew=since[0] is one,
        rate=round(one.leaked / one.attempts, 6) if one.attempts else 0.0,
        upper=round(clopper_pearson_upper(one.leaked, one.attempts, confidence), 6),
        leaked_so_far=leaked,
        attempts_so_far=attempts,
        anytime=round(anytime_upper(leaked, attempts, confidence), 6),
        anytime_by_phrasing=round(anytime_upper(told, asked, confidence), 6),
    )
