"""How the newest run of a re-check ended, and whether somebody has to look at it. A run is a job: it may end without
a report, and then the newest report is not about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from store.jobs import CANCELLED
from store.models import AuditRun, Event, Job, Recheck, Report, Request

Trouble = Literal["failed", "leaking"]


def newest(session: Session, recheck_ids: Iterable[str]) -> dict[str, Job]:
    """The newest ended job of each of these re-checks that has one: `done`, or `failed` with its error class."""
    query = sa.select(Recheck.id, Job).join(Job, Job.id == _newest_ended())
    rows = session.execute(query.where(Recheck.id.in_(list(recheck_ids))))
    return {recheck_id: job for recheck_id, job in rows}


def failed() -> sa.ColumnElement[bool]:
    """That the newest run of a request's active re-check failed (and was not stopped by a person)."""
    query = sa.select(Recheck.request_id).join(Job, Job.id == _newest_ended())
    by_itself = Job.error_class.is_distinct_from(CANCELLED)
    return Request.id.in_(query.where(Recheck.active.is_(True), Job.state == "failed", by_itself))


def leaking() -> sa.ColumnElement[bool]:
    """That the newest report of a request's active re-check fails. Not where somebody accepted the request's leak."""
    accepted = sa.select(Event.request_id).where(
        Event.kind == "request.accept", Event.request_id == Request.id
    )
    query = sa.select(Recheck.request_id).where(Recheck.active.is_(True), _newest_verdict() == "fail")
    return sa.and_(Request.id.in_(query), ~accepted.exists())


def troubled() -> sa.ColumnElement[bool]:
    """That a request's re-check wants somebody's attention."""
    return sa.or_(failed(), leaking())


def troubles_among(session: Session, request_ids: Iterable[str]) -> dict[str, Trouble]:
    """What is wrong with the re-check of those of these requests that are troubled."""
    what = sa.case((failed(), "failed"), else_="leaking")
    rows = session.execute(sa.select(Request.id, what).where(Request.id.in_(list(request_ids)), troubled()))
    return {request_id: trouble for request_id, trouble in rows}


def _newest_ended() -> sa.ScalarSelect[str]:
    ended = aliased(Job)
    query = sa.select(ended.id).where(ended.recheck_id == Recheck.id, ended.finished_at.is_not(None))
    query = query.order_by(ended.finished_at.desc(), ended.created_at.desc(), ended.id.desc())
    return query.limit(1).correlate(Recheck).scalar_subquery()


def _newest_verdict() -> sa.ScalarSelect[str]:
    query = sa.select(Report.verdict).join(AuditRun, AuditRun.id == Report.audit_run_id)
    query = query.where(AuditRun.recheck_id == Recheck.id).order_by(
        Report.created_at.desc(), Report.id.desc()
    )
    return query.limit(1).correlate(Recheck).scalar_subquery()
