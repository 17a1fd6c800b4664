"""Re-checks over the API: schedule, list, run, stop, cancel."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from store import recheck_runs, rechecks
from store.models import Recheck
from web.api import api
from web.api.guard import idempotent, requires
from web.api.inputs import Page, RecheckIn
from web.api.outputs import JobOut, RecheckOut, RecheckPage
from web.context import reading, services, transaction, wake_after_commit
from web.identity import caller, visible_recheck, visible_rechecks, visible_request


@api.post("/requests/<request_id>/rechecks")
@requires("requests:write")
@idempotent
@api.input(RecheckIn)
@api.output(RecheckOut, status_code=201)
def schedule_recheck(request_id: str, json_data: RecheckIn) -> tuple[RecheckOut, int]:
    """Schedule a re-check of a request's audit

    A request has one re-check at a time; a second one is refused with 409 `already_scheduled`.
    """
    with transaction() as session:
        visible_request(session, request_id)
        made = rechecks.schedule(session, request_id, json_data.every_days, actor=caller().user_id)
        return _out(session, [made])[0], 201


@api.get("/rechecks")
@requires("requests:read")
@api.input(Page, location="query")
@api.output(RecheckPage)
def list_rechecks(query_data: Page) -> RecheckPage:
    """List the re-checks, the next one first and the cancelled ones last"""
    with reading() as session:
        found = visible_rechecks(session, limit=query_data.limit, cursor=query_data.cursor)
        return RecheckPage(items=_out(session, found.items), next_cursor=found.next_cursor)


@api.post("/rechecks/<recheck_id>/run")
@requires("requests:write")
@idempotent
@api.output(JobOut, status_code=202)
def run_recheck(recheck_id: str) -> tuple[JobOut, int]:
    """Run a re-check now

    Gives the job that is queued; asking again while it is unfinished gives the same job. One that was cancelled is
    refused with 409 `recheck_cancelled`.
    """
    with transaction() as session:
        visible_recheck(session, recheck_id)
        job = rechecks.run_now(
            session, recheck_id, actor=caller().user_id, max_attempts=services().settings.max_attempts
        )
        wake_after_commit(job)
        return JobOut.of(job), 202


@api.post("/rechecks/<recheck_id>/stop")
@requires("requests:write")
@idempotent
@api.output(RecheckOut)
def stop_recheck(recheck_id: str) -> RecheckOut:
    """Stop the audit that a re-check is running

    The schedule goes on. Without a running or queued audit nothing happens.
    """
    with transaction() as session:
        visible_recheck(session, recheck_id)
        rechecks.stop(session, recheck_id, actor=caller().user_id)
        return _out(session, [rechecks.get(session, recheck_id)])[0]


@api.post("/rechecks/<recheck_id>/cancel")
@requires("requests:write")
@idempotent
@api.output(RecheckOut)
def cancel_recheck(recheck_id: str) -> RecheckOut:
    """Cancel a re-check"""
    with transaction() as session:
        visible_recheck(session, recheck_id)
        return _out(session, [rechecks.cancel(session, recheck_id, actor=caller().user_id)])[0]


def _out(session: Session, rows: Sequence[Recheck]) -> list[RecheckOut]:
    last = recheck_runs.newest(session, [row.id for row in rows])
    return [RecheckOut.of(row, last.get(row.id)) for row in rows]
