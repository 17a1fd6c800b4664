"""Jobs: the queue of record. A worker claims a row by compare-and-set, holds it by a lease and reports to it.

The broker only wakes workers. Whatever a dead worker leaves is found again by `sweep`; `attempts` caps the
retries, and every claim counts as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import audits, clocks, events, states
from store.database import changed, erases
from store.errors import LeaseLost, UnknownJob
from store.ids import new_id
from store.models import Fact, Job, Recheck, Request

WAKE_AFTER_S = 15.0
SET_BACK_S = 60.0
"""A heartbeat further in the future than this: the clock was set back, and the lease would last too long."""
UNFINISHED = ("queued", "running")
CANCELLED = "Cancelled"
"""The error class of a job that a person ended."""
_REQUEST_KINDS = ("forget", "censor")


def create(
    session: Session,
    kind: str,
    *,
    bank_id: str,
    request_id: str | None = None,
    recheck_id: str | None = None,
    fact_ids: Sequence[str] = (),
    max_attempts: int = 3,
) -> Job:
    """Queue a job in this transaction; wake a worker with its id after the commit."""
    at = clocks.now()
    job = Job(
        id=new_id("job"),
        kind=kind,
        request_id=request_id,
        recheck_id=recheck_id,
        bank_id=bank_id,
        fact_ids=list(fact_ids),
        queue="model",
        state="queued",
        max_attempts=max_attempts,
        woken_at=at,
        created_at=at,
    )
    session.add(job)
    session.flush()
    return job


def get(session: Session, job_id: str) -> Job:
    """The job as the database has it now; `UnknownJob`."""
    query = sa.select(Job).where(Job.id == job_id).execution_options(populate_existing=True)
    job = session.scalars(query).one_or_none()
    if job is None:
        raise UnknownJob("There is no job with this id.")
    return job


def claim(session: Session, job_id: str, worker: str, lease_s: float) -> Job | None:
    """Take a queued job, or one whose lease ran out; None if it is not to be had.

    Each claim is an attempt; a job that has none left fails here, and its request with it.
    """
    at = clocks.now()
    take = (
        sa.update(Job)
        .where(Job.id == job_id, _free(at), Job.attempts < Job.max_attempts)
        .values(
            state="running",
            worker=worker,
            attempts=Job.attempts + 1,
            heartbeat_at=at,
            lease_until=at + timedelta(seconds=lease_s),
            error_class=None,
        )
    )
    if changed(session, take) == 1:
        return get(session, job_id)
    job = get(session, job_id)
    if job.state == "queued" or (job.state == "running" and _expired(job, at)):
        _exhaust(session, job, at)
    return None


def heartbeat(session: Session, job_id: str, worker: str, lease_s: float) -> bool:
    """Extend the lease; False means that the job is no longer this worker's."""
    at = clocks.now()
    extend = _held(job_id, worker).values(heartbeat_at=at, lease_until=at + timedelta(seconds=lease_s))
    return changed(session, extend) == 1


def hold(session: Session, job_id: str, worker: str) -> Job:
    """The job, locked until this transaction ends; `LeaseLost` if it is no longer this worker's.

    Call it first in every transaction that commits a step: a worker that overslept its lease cannot write
    then.
    """
    query = (
        sa.select(Job)
        .where(Job.id == job_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    job = session.scalars(query).one_or_none()
    if job is None or job.state != "running" or job.worker != worker:
        raise LeaseLost("This job is no longer held by this worker.")
    return job


def progress(session: Session, job_id: str, step: str, done: int, total: int) -> None:
    """Say how far the running job is: a step's name and two numbers."""
    update = sa.update(Job).where(Job.id == job_id, Job.state == "running")
    changed(session, update.values(step=step, progress_done=done, progress_total=total))


def finish(session: Session, job_id: str, worker: str) -> Job:
    """Mark the job done; `LeaseLost` if it is no longer this worker's."""
    at = clocks.now()
    if changed(session, _held(job_id, worker).values(state="done", finished_at=at, lease_until=None)) != 1:
        raise LeaseLost("This job is no longer held by this worker.")
    job = get(session, job_id)
    if job.recheck_id is not None:
        changed(session, sa.update(Recheck).where(Recheck.id == job.recheck_id).values(last_run_at=at))
    events.append(session, "job.done", actor=worker, request_id=job.request_id, body=_about(job))
    return job


def fail(session: Session, job_id: str, worker: str, error_class: str, *, retry: bool = True) -> Job:
    """Record a failure by its class name. With attempts left the job is queued again; otherwise (or with
    `retry=False`) it fails for good, its request gives up and facts that waited to be written are erased.
    """
    at = clocks.now()
    job = hold(session, job_id, worker)
    job.error_class = error_class[:100]
    if retry and job.attempts < job.max_attempts:
        job.state, job.lease_until, job.worker, job.woken_at = "queued", None, None, at
        session.flush()
        events.append(session, "job.retried", actor=worker, request_id=job.request_id, body=_about(job))
    else:
        _fail_for_good(session, job, at, actor=worker)
    return job


def release(session: Session, job_id: str, worker: str) -> bool:
    """Give a job back unharmed (graceful shutdown): queued again, and the attempt does not count."""
    back = _held(job_id, worker).values(
        state="queued", worker=None, lease_until=None, attempts=Job.attempts - 1, woken_at=clocks.now()
    )
    return changed(session, back) == 1


def sweep(session: Session, now: datetime, *, wake_after_s: float = WAKE_AFTER_S) -> list[Job]:
    """The jobs to wake: those a dead worker left (queued again) and those queued long without being claimed.

    Jobs without attempts left fail. A job is handed out at most once every `wake_after_s`, whoever sweeps.
    """
    for job_id in session.scalars(sa.select(Job.id).where(_left_behind(now)).order_by(Job.created_at)).all():
        back = sa.update(Job).where(Job.id == job_id, _left_behind(now), Job.attempts < Job.max_attempts)
        long_ago = now - timedelta(seconds=wake_after_s)
        if not changed(
            session, back.values(state="queued", worker=None, lease_until=None, woken_at=long_ago)
        ):
            job = get(session, job_id)
            if job.state == "running" and _expired(job, now):
                _exhaust(session, job, now)
    return _wake(session, now, wake_after_s)


def of_request(session: Session, request_id: str) -> list[Job]:
    """All jobs of a request, oldest first."""
    query = sa.select(Job).where(Job.request_id == request_id).order_by(Job.created_at, Job.id)
    return list(session.scalars(query))


def lock_of_request(session: Session, request_id: str) -> None:
    """Lock the request's jobs before the request itself, in the order in which workers do it."""
    query = sa.select(Job.id).where(Job.request_id == request_id).order_by(Job.id)
    session.execute(query.with_for_update(key_share=True)).all()


def cancel_of_request(session: Session, request_id: str, *, actor: str) -> int:
    """End the unfinished jobs that apply or audit a request (not its re-checks); returns how many.

    A worker that holds one loses it at its next batch of samples. An audit that a failed job left for the next one
    ends as well: there will be none.
    """
    ended = _cancel(session, sa.and_(Job.request_id == request_id, Job.recheck_id.is_(None)), actor)
    audits.end_runs_of_request(session, request_id, "stopped", actor=actor)
    return ended


def cancel_of_recheck(session: Session, recheck_id: str, *, actor: str) -> int:
    """End the unfinished job of a re-check; returns how many there were."""
    return _cancel(session, Job.recheck_id == recheck_id, actor)


def _cancel(session: Session, which: sa.ColumnElement[bool], actor: str) -> int:
    mine = sa.select(Job).where(which, Job.state.in_(UNFINISHED)).with_for_update(key_share=True)
    ended = session.scalars(mine).all()
    for job in ended:
        job.state, job.error_class, job.finished_at, job.lease_until = (
            "failed",
            CANCELLED,
            clocks.now(),
            None,
        )
        session.flush()
        events.append(session, "job.cancelled", actor=actor, request_id=job.request_id, body=_about(job))
        audits.end_runs_of_job(session, job.id, "stopped", actor=actor)
    return len(ended)


def _free(at: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(Job.state == "queued", _left_behind(at))


def _left_behind(at: datetime) -> sa.ColumnElement[bool]:
    set_back = Job.heartbeat_at > at + timedelta(seconds=SET_BACK_S)
    return sa.and_(Job.state == "running", sa.or_(Job.lease_until < at, set_back))


def _expired(job: Job, at: datetime) -> bool:
    set_back = job.heartbeat_at is not None and job.heartbeat_at > at + timedelta(seconds=SET_BACK_S)
    return set_back or (job.lease_until is not None and job.lease_until < at)


def _held(job_id: str, worker: str) -> sa.Update:
    return sa.update(Job).where(Job.id == job_id, Job.state == "running", Job.worker == worker)


def _about(job: Job) -> dict[str, str | int | bool]:
    return {"job": job.id, "kind": job.kind, "attempts": job.attempts, "error": job.error_class or ""}


def _exhaust(session: Session, job: Job, at: datetime) -> None:
    locked = session.scalars(
        sa.select(Job)
        .where(Job.id == job.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()
    free = locked.state == "queued" or (locked.state == "running" and _expired(locked, at))
    if free and locked.attempts >= locked.max_attempts:
        locked.error_class = locked.error_class or "LeaseExpired"
        _fail_for_good(session, locked, at, actor="sweep")


def _fail_for_good(session: Session, job: Job, at: datetime, *, actor: str) -> None:
    job.state, job.finished_at, job.lease_until = "failed", at, None
    session.flush()
    events.append(session, "job.failed", actor=actor, request_id=job.request_id, body=_about(job))
    if job.kind == "write":
        _drop_pending(session, job)
    elif job.kind == "recheck":
        audits.end_runs_of_job(session, job.id, "failed", actor=actor)
        body: events.EventBody = {"recheck": job.recheck_id or "", "verdict": "unfinished", "restated": 0}
        events.append(session, "recheck.alert", actor=actor, request_id=job.request_id, body=body)
    elif job.kind in _REQUEST_KINDS and job.request_id is not None:
        request = session.get_one(Request, job.request_id, populate_existing=True)
        if (request.state, "give_up") in states.TRANSITIONS:
            reason = f"The work failed {job.attempts} time(s): {job.error_class}."
            states.transition(session, request.id, "give_up", actor=actor, reason=reason)


def _drop_pending(session: Session, job: Job) -> None:
    dropped = sa.update(Fact).where(Fact.id.in_(job.fact_ids), Fact.state == "pending")
    changed(session, dropped.values(state="failed", ciphertext=None, blind_index=None))
    erases(session)


def _wake(session: Session, now: datetime, wake_after_s: float) -> list[Job]:
    long_ago, set_back = now - timedelta(seconds=wake_after_s), now + timedelta(seconds=SET_BACK_S)
    asleep = sa.and_(Job.state == "queued", sa.or_(Job.woken_at <= long_ago, Job.woken_at > set_back))
    woken = []
    for job_id in session.scalars(sa.select(Job.id).where(asleep).order_by(Job.created_at)).all():
        if changed(session, sa.update(Job).where(Job.id == job_id, asleep).values(woken_at=now)):
            woken.append(get(session, job_id))
    return woken
