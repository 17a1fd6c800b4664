"""The table at the end of the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.report import Group, Report
from store import audits, requests
from store.database import Database


@dataclass(frozen=True)
class Recall:
    """Facts asked for, and told, right after the change: the requests' own, and others of the bank."""

    forget_asked: int = 0
    forget_told: int = 0
    censor_asked: int = 0
    censor_told: int = 0
    retained_asked: int = 0
    retained_told: int = 0


def read_recall(database: Database) -> Recall:
    """Add up what the worker noted in the phase «recall» of every request."""
    counts = dict.fromkeys(Recall.__dataclass_fields__, 0)
    with database.session(read_only=True) as session:
        for request in requests.list_requests(session, limit=200).items:
            noted = audits.latest_phase(session, request.id, "recall") or {}
            counts[f"{request.kind}_asked"] += noted.get("asked", 0)
            counts[f"{request.kind}_told"] += noted.get("recalled", 0)
            counts["retained_asked"] += noted.get("retained_asked", 0)
            counts["retained_told"] += noted.get("retained_recalled", 0)
    return Recall(**counts)


def print_summary(report: Report | None, recall: Recall, states: Sequence[str], seconds: float) -> None:
    """Print what happened, with the exact bounds."""
    ended = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    print(f"\nRequests: {ended}")
    if report is not None:
        columns = [_column(group, recall) for group in report.groups]
        for row in columns[0]:
            print(f"  {row:<38}" + "".join(f"{column[row]:<30}" for column in columns).rstrip())
        print(f"  {'other facts still recalled':<38}{recall.retained_told} of {recall.retained_asked}")
        print(f"\n{report.headline}")
    print(f"Time: {seconds / 60:.1f} minutes\n")


def _column(group: Group, recall: Recall) -> dict[str, str]:
    after, verdict, others = group.figures["after"].by_fact, group.verdict, group.neighbours
    before = group.figures["before"].by_fact if "before" in group.figures else None
    asked, told = (getattr(recall, f"{group.kind}_{what}") for what in ("asked", "told"))
    return {
        "": group.kind.upper(),
        "facts leaked before": f"{before.leaked} of {before.total}" if before else "not measured",
        "facts leaked after": f"{after.leaked} of {after.total}",
        "leak rate after, 95 % upper bound": f"{verdict.upper:.1%} of {verdict.unit}",
        "memory equals the never-written one": _equality(group),
        "asked directly, still told": f"{told} of {asked}",
        "neighbours: silenced": f"{others.silenced} of {others.prompts}" if others else "not measured",
        "neighbours: bit for bit the decoder's": f"{others.agreeing} of {others.prompts}" if others else "",
        "phrasings added by repair": str(sum(r.phrasings_added for q in group.requests for r in q.repairs)),
        "verdict": verdict.value,
    }


def _equality(group: Group) -> str:
    compared = [request.state.equal for request in group.requests]
    return (
        f"{compared.count(True)} of {len(compared)}"
        if any(c is not None for c in compared)
        else "(does not apply)"
    )
