"""Re-checks: audits on a schedule. Ticks are idempotent: two beats at once enqueue a due re-check once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events, jobs, requests
from store.database import changed
from store.errors import AlreadyScheduled, IllegalTransition, InvalidInput, RecheckCancelled, UnknownRecheck
from store.events import EventBody
from store.ids import new_id
from store.models import Job, Recheck, Request
from store.pages import Page, fetch

MAX_DAYS = 366
_AUDITED = ("completed", "residual")


def schedule(session: Session, request_id: str, every_days: int, actor: str) -> Recheck:
    """Audit a completed (or residual) request again every so many days, first in `every_days` days.

    `InvalidInput`, `IllegalTransition`, `AlreadyScheduled`, or `TextsDestroyed`: without prompts nothing can be
    asked.
    """
    if not 1 <= every_days <= MAX_DAYS:
        raise InvalidInput(f"A re-check comes every 1 to {MAX_DAYS} days.", field="every_days")
    session.execute(sa.select(Request.id).where(Request.id == request_id).with_for_update(key_share=True))
    request = requests.get(session, request_id)
    if request.state not in _AUDITED:
        raise IllegalTransition(request.state, "schedule a re-check")
    requests.refuse_without_texts(session, request_id)
    if active_of(session, request_id) is not None:
        raise AlreadyScheduled(
            "This request has a re-check already. Cancel it first if it should come at another pace."
        )
    row = Recheck(
        id=new_id("chk"),
        request_id=request_id,
        every_days=every_days,
        next_at=clocks.now() + timedelta(days=every_days),
        active=True,
        created_by=actor,
    )
    session.add(row)
    session.flush()
    body: EventBody = {"recheck": row.id, "every_days": every_days}
    events.append(session, "recheck.scheduled", actor=actor, request_id=request_id, body=body)
    return row


def get(session: Session, recheck_id: str) -> Recheck:
    """The re-check; `UnknownRecheck`."""
    row = session.get(Recheck, recheck_id, populate_existing=True)
    if row is None:
        raise UnknownRecheck("There is no re-check with this id.")
    return row


def active_of(session: Session, request_id: str) -> Recheck | None:
    """The re-check of a request that is not cancelled, if there is one."""
    query = sa.select(Recheck).where(Recheck.request_id == request_id, Recheck.active.is_(True))
    return session.scalars(query).one_or_none()


def due(session: Session, now: datetime) -> list[Recheck]:
    """Active re-checks whose time has come and that have no unfinished job, the most overdue first."""
    unfinished = sa.select(Job.id).where(Job.recheck_id == Recheck.id, Job.state.in_(jobs.UNFINISHED))
    query = sa.select(Recheck).where(Recheck.active.is_(True), Recheck.next_at <= now, ~unfinished.exists())
    return list(session.scalars(query.order_by(Recheck.next_at, Recheck.id)))


def enqueue_due(session: Session, now: datetime, *, max_attempts: int = 3) -> list[Job]:
    """Queue a job for every due re-check and move its clock on; wake workers after the commit."""
    queued = []
    for row in due(session, now):
        later = now + timedelta(days=row.every_days)
        step = sa.update(Recheck).where(Recheck.id == row.id, Recheck.next_at == row.next_at)
        if changed(session, step.where(Recheck.active.is_(True)).values(next_at=later)) == 1:
            queued.append(_enqueue(session, row, max_attempts))
    return queued


def run_now(session: Session, recheck_id: str, *, actor: str, max_attempts: int = 3) -> Job:
    """Queue the re-check at once, unless its job is unfinished already (then that one is returned).

    `UnknownRecheck`, `RecheckCancelled`, `TextsDestroyed`.
    """
    mine = sa.select(Recheck).where(Recheck.id == recheck_id).with_for_update(key_share=True)
    row = session.scalars(mine.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise UnknownRecheck("There is no re-check with this id.")
    if not row.active:
        raise RecheckCancelled("This re-check was cancelled. Schedule a new one on the page of its request.")
    query = sa.select(Job).where(Job.recheck_id == recheck_id, Job.state.in_(jobs.UNFINISHED))
    unfinished = session.scalars(query).first()
    if unfinished is not None:
        return unfinished
    requests.refuse_without_texts(session, row.request_id)
    events.append(
        session, "recheck.run", actor=actor, request_id=row.request_id, body={"recheck": recheck_id}
    )
    return _enqueue(session, row, max_attempts)


def cancel(session: Session, recheck_id: str, *, actor: str) -> Recheck:
    """Stop a re-check; a job that is queued already still runs."""
    row = get(session, recheck_id)
    if row.active:
        row.active = False
        session.flush()
        body = {"recheck": recheck_id}
        events.append(session, "recheck.cancelled", actor=actor, request_id=row.request_id, body=body)
    return row


def stop(session: Session, recheck_id: str, *, actor: str) -> bool:
    """End the audit that is running (or queued) for a re-check; the schedule goes on. False if there is none."""
    row = get(session, recheck_id)
    stopped = jobs.cancel_of_recheck(session, recheck_id, actor=actor) > 0
    if stopped:
        body = {"recheck": recheck_id}
        events.append(session, "recheck.stopped", actor=actor, request_id=row.request_id, body=body)
    return stopped


def under_way(session: Session, recheck_ids: Iterable[str]) -> set[str]:
    """Those of these re-checks whose audit is queued or running."""
    query = sa.select(Job.recheck_id).where(
        Job.recheck_id.in_(list(recheck_ids)), Job.state.in_(jobs.UNFINISHED)
    )
    return {found for found in session.scalars(query) if found is not None}


def list_rechecks(
    session: Session, *, submitted_by: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Recheck]:
    """Re-checks (of one submitter's requests), the active ones first and the next to run on top, a page at a time."""
    query = sa.select(Recheck)
    if submitted_by is not None:
        query = query.join(Request, Request.id == Recheck.request_id)
        query = query.where(Request.submitted_by == submitted_by)
    return fetch(
        session,
        query,
        Recheck.next_at,
        Recheck.id,
        limit=limit,
        cursor=cursor,
        descending=False,
        ahead=Recheck.active,
    )


def schedulable(session: Session, *, submitted_by: str | None = None, limit: int = 200) -> list[Request]:
    """Audited requests (of one submitter) without an active re-check, the newest first."""
    scheduled = sa.select(Recheck.request_id).where(Recheck.active.is_(True))
    query = sa.select(Request).where(Request.state.in_(_AUDITED), Request.id.not_in(scheduled))
    if submitted_by is not None:
        query = query.where(Request.submitted_by == submitted_by)
    return list(session.scalars(query.order_by(Request.received_at.desc(), Request.id.desc()).limit(limit)))


def _enqueue(session: Session, row: Recheck, max_attempts: int) -> Job:
    request = session.get_one(Request, row.request_id)
    return jobs.create(
        session,
        "recheck",
        bank_id=request.bank_id,
        request_id=request.id,
        recheck_id=row.id,
        fact_ids=requests.fact_ids_of(session, request.id),
        max_attempts=max_attempts,
    )
