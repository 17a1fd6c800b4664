"""Re-checks: the list with its schedule form, scheduling, running at once and cancelling."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from store import jobs, recheck_runs, rechecks, requests
from store.errors import AlreadyScheduled, InvalidInput, RecheckCancelled, StoreError, TextsDestroyed
from store.models import Request
from web import queries
from web.context import reading, services, transaction, wake_after_commit
from web.identity import caller, page, visible_recheck, visible_rechecks, visible_request
from web.pages import pages
from web.pages.forms import RecheckForm, choices_of
from web.wording import KINDS, day, plural


@pages.get("/rechecks")
@page("requests:read")
def recheck_list() -> ResponseReturnValue:
    """The re-checks, a page at a time, and the form for a new one."""
    try:
        return _list(RecheckForm(formdata=None), request.args.get("cursor"))
    except InvalidInput:
        return redirect(url_for("pages.recheck_list"))


@pages.post("/rechecks")
@page("requests:write")
def schedule_recheck() -> ResponseReturnValue:
    """Schedule a re-check."""
    form = RecheckForm()
    if not form.validate():
        return _list(form), 422
    request_id, every_days = form.request_id.data or "", form.every_days.data
    try:
        with transaction() as session:
            visible_request(session, request_id)
            rechecks.schedule(session, request_id, every_days, actor=caller().user_id)
    except AlreadyScheduled as error:
        flash(str(error), "warn")
        return redirect(url_for("pages.show_request", request_id=request_id, _anchor="recheck-heading"))
    except StoreError as error:
        if error.status >= 500:
            raise
        gone = isinstance(error, TextsDestroyed)
        form.request_id.errors = [str(error) if gone else "Choose a completed request."]
        return _list(form), 422
    flash(f"Scheduled: the audit runs again every {plural(every_days, 'day')}.", "good")
    return redirect(url_for("pages.recheck_list"))


@pages.post("/rechecks/<recheck_id>/run")
@page("requests:write")
def run_recheck(recheck_id: str) -> ResponseReturnValue:
    """Run a re-check now."""
    attempts = services().settings.max_attempts
    try:
        with transaction() as session:
            visible_recheck(session, recheck_id)
            job = rechecks.run_now(session, recheck_id, actor=caller().user_id, max_attempts=attempts)
    except RecheckCancelled as error:
        flash(str(error), "warn")
    else:
        wake_after_commit(job)
        flash("The re-check is queued.", "good")
    return redirect(url_for("pages.recheck_list"))


@pages.post("/rechecks/<recheck_id>/stop")
@page("requests:write")
def stop_recheck(recheck_id: str) -> ResponseReturnValue:
    """Stop the audit that is running; the schedule goes on."""
    with transaction() as session:
        visible_recheck(session, recheck_id)
        stopped = rechecks.stop(session, recheck_id, actor=caller().user_id)
    if stopped:
        flash("The running audit stops at its next batch. The schedule goes on.", "good")
    else:
        flash("No audit of this re-check is running.", "warn")
    return redirect(url_for("pages.recheck_list"))


@pages.post("/rechecks/<recheck_id>/cancel")
@page("requests:write")
def cancel_recheck(recheck_id: str) -> ResponseReturnValue:
    """Stop a re-check."""
    with transaction() as session:
        visible_recheck(session, recheck_id)
        rechecks.cancel(session, recheck_id, actor=caller().user_id)
    flash("The re-check was cancelled.", "good")
    return redirect(url_for("pages.recheck_list"))


def _list(form: RecheckForm, cursor: str | None = None) -> str:
    with reading() as session:
        found = visible_rechecks(session, cursor=cursor)
        items = found.items
        rows = {row.request_id: requests.get(session, row.request_id) for row in items}
        verdicts = queries.verdicts_of_rechecks(session, [row.id for row in items])
        last_runs = recheck_runs.newest(session, [row.id for row in items])
        running = rechecks.under_way(session, [row.id for row in items])
        choices = rechecks.schedulable(session, submitted_by=caller().only_own)
    form.request_id.choices = choices_of({item.id: _title(item) for item in choices})
    return render_template(
        "rechecks.html",
        section="pages.recheck_list",
        form=form,
        items=items,
        next_cursor=found.next_cursor,
        titles={request_id: _title(item) for request_id, item in rows.items()},
        verdicts=verdicts,
        last_runs=last_runs,
        stopped=jobs.CANCELLED,
        running=running,
        choices=choices,
    )


def _title(item: Request) -> str:
    return f"{KINDS[item.kind]} · {item.reference or 'received ' + day(item.received_at)}"
