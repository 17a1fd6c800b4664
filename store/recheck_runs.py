"""How the newest run of a re-check ended. A run is a job: it may end without a report, and then the newest report is
not about it.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from store.jobs import CANCELLED
from store.models import Job, Recheck, Request


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


def failed_among(session: Session, request_ids: Iterable[str]) -> set[str]:
    """Those of these requests for which `failed` is true."""
    return set(session.scalars(sa.select(Request.id).where(Request.id.in_(list(request_ids)), failed())))


def _newest_ended() -> sa.ScalarSelect[str]:
    ended = aliased(Job)
    query = sa.select(ended.id).where(ended.recheck_id == Recheck.id, ended.finished_at.is_not(None))
    query = query.order_by(ended.finished_at.desc(), ended.created_at.desc(), ended.id.desc())
    return query.limit(1).correlate(Recheck).scalar_subquery()
