"""Read queries that only the pages need: counts for the tiles, names for ids, facts per request. No text is
read here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import recheck_runs
from store.clocks import now
from store.models import AuditRun, Fact, Job, Report, Request, RequestFact, User
from store.states import TERMINAL, UNDERWAY


@dataclass(frozen=True)
class QueueCounts:
    """What the tiles above the queue say."""

    all: int
    decide: int
    working: int
    attention: int
    overdue: int


@dataclass(frozen=True)
class FactCounts:
    """What the tiles above the bank say."""

    pending: int
    written: int
    censored: int
    forgotten: int
    failed: int


def queue_counts(session: Session, submitted_by: str | None) -> QueueCounts:
    """Counts over all requests, or those of one submitter."""
    by_state = sa.select(Request.state, sa.func.count()).group_by(Request.state)
    late = sa.select(sa.func.count()).where(Request.state.not_in(TERMINAL), Request.due_at < now())
    waiting = sa.or_(Request.state.in_(("failed", "residual")), recheck_runs.troubled())
    attention = sa.select(sa.func.count()).select_from(Request).where(waiting)
    if submitted_by is not None:
        by_state = by_state.where(Request.submitted_by == submitted_by)
        late = late.where(Request.submitted_by == submitted_by)
        attention = attention.where(Request.submitted_by == submitted_by)
    counts: dict[str, int] = {state: count for state, count in session.execute(by_state)}
    return QueueCounts(
        all=sum(counts.values()),
        decide=counts.get("received", 0),
        working=sum(counts.get(state, 0) for state in UNDERWAY),
        attention=session.scalar(attention) or 0,
        overdue=session.scalar(late) or 0,
    )


def fact_counts(session: Session, bank_id: str) -> FactCounts:
    """Facts of a bank by state; tombstones count as censored."""
    query = sa.select(Fact.kind, Fact.state, sa.func.count()).where(Fact.bank_id == bank_id)
    counts: dict[tuple[str, str], int] = {
        (kind, state): count for kind, state, count in session.execute(query.group_by(Fact.kind, Fact.state))
    }
    return FactCounts(
        pending=counts.get(("fact", "pending"), 0),
        written=counts.get(("fact", "written"), 0),
        censored=counts.get(("tombstone", "written"), 0),
        forgotten=counts.get(("fact", "forgotten"), 0),
        failed=counts.get(("fact", "failed"), 0),
    )


def facts_per_request(session: Session, request_ids: Iterable[str]) -> dict[str, int]:
    """How many facts each request names."""
    ids = list(request_ids)
    query = sa.select(RequestFact.request_id, sa.func.count()).where(RequestFact.request_id.in_(ids))
    rows = session.execute(query.group_by(RequestFact.request_id))
    return {request_id: count for request_id, count in rows}


def names(session: Session, user_ids: Iterable[str | None]) -> dict[str, str]:
    """The names of users by id; ids that are nobody's (workers) are left out."""
    ids = {user_id for user_id in user_ids if user_id}
    rows = session.execute(sa.select(User.id, User.name).where(User.id.in_(ids)))
    return {user_id: name for user_id, name in rows}


def newest_write_job(session: Session, bank_id: str) -> Job | None:
    """The unfinished job that writes facts into this bank, if there is one."""
    query = sa.select(Job).where(
        Job.kind == "write", Job.bank_id == bank_id, Job.state.in_(("queued", "running"))
    )
    return session.scalars(query.order_by(Job.created_at).limit(1)).first()


def verdicts_of_rechecks(session: Session, recheck_ids: Iterable[str]) -> dict[str, str]:
    """The newest verdict of each re-check that has one."""
    query = (
        sa.select(AuditRun.recheck_id, Report.verdict)
        .join(Report, Report.audit_run_id == AuditRun.id)
        .where(AuditRun.recheck_id.in_(list(recheck_ids)))
        .order_by(Report.created_at)
    )
    return {recheck_id: verdict for recheck_id, verdict in session.execute(query) if recheck_id is not None}


def has_users(session: Session) -> bool:
    """Whether anybody can sign in."""
    return session.scalar(sa.select(sa.func.count()).select_from(User).where(User.active)) != 0
