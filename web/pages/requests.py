"""Pages of one request: the form to submit it, its page, and the fragment with its live progress."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from store import audits, jobs, rechecks, requests
from store.errors import StoreError, TextsDestroyed
from store.models import Job, Request
from store.states import TERMINAL, UNDERWAY, was_accepted, was_applied
from web import queries
from web.context import reading, services
from web.identity import caller, page, visible_request
from web.once import done_once
from web.pages import pages
from web.pages.forms import RecheckForm, RequestForm, blame, edit_rows, problems_of
from web.steps import allowed_steps, approval_note, may_read_texts
from web.submission import submit
from web.timeline import entries_of, standing_of, steps_of

HIDDEN_FACTS = "The text is shown only to reviewers and to who submitted the request."
DESTROYED = "The texts of this request were destroyed."
TIMELINE = 200
"""How many events a page shows, the newest ones; a daily re-check adds a thousand a year."""


@pages.get("/requests/new")
@page("requests:write")
def new_request() -> ResponseReturnValue:
    """The empty form."""
    return _form(RequestForm(formdata=None))


@pages.post("/requests/new")
@page("requests:write")
def submit_request() -> ResponseReturnValue:
    """Submit, or add and remove rows of facts."""
    form = RequestForm()
    edited = edit_rows(form, services().settings.max_facts_per_request)
    if edited is not None:
        return _form(edited)
    if not form.validate():
        return _form(form), 422
    submission = requests.Submission(
        kind=form.kind.data,
        facts=form.texts(),
        regulation=form.regulation.data,
        reference=form.reference.data or "",
        bank=services().settings.bank,
    )

    def place_of_new(session: Session) -> str:
        return url_for("pages.show_request", request_id=submit(session, submission).id)

    try:
        place = done_once(place_of_new)
    except StoreError as error:
        return _refused(form, error)
    flash("The request was received. A reviewer decides next.", "good")
    return redirect(place)


@pages.get("/requests/<request_id>")
@page("requests:read")
def show_request(request_id: str) -> ResponseReturnValue:
    """The page of a request."""
    return render_request(request_id)


@pages.get("/requests/<request_id>/progress")
@page("requests:read")
def request_progress(request_id: str) -> Response:
    """The progress section alone, for htmx. Once the request moved on, the browser is told to reload the
    page.
    """
    with reading() as session:
        item = visible_request(session, request_id)
        if request.args.get("seen") != str(item.row_version):
            return Response("", 200, {"HX-Refresh": "true"})
        context = _progress(session, item)
    return make_response(render_template("request_progress.html", item=item, **context))


def render_request(request_id: str, **refused: Any) -> str:
    """The page of a request; `refused` carries the reason that was typed and why it was not enough."""
    who = caller()
    with reading() as session:
        item = visible_request(session, request_id)
        facts, hidden = _texts(session, item)
        found = requests.events_of(session, item.id, limit=TIMELINE + 1)
        events = found[-TIMELINE:]
        names = queries.names(
            session, [item.submitted_by, item.decided_by, *(event.actor for event in events)]
        )
        self_approval = services().settings.allow_self_approval
        context = _progress(session, item) | {
            "steps_allowed": allowed_steps(session, item, who, self_approval),
            "facts": facts,
            "facts_hidden": hidden,
            "fact_count": queries.facts_per_request(session, [item.id]).get(item.id, 0),
            "timeline": entries_of(item, events, names),
            "timeline_cut": len(found) > TIMELINE,
            "names": names,
            "reports": audits.reports_of(session, item.id),
            "recheck": rechecks.active_of(session, item.id),
        }
    audited = item.state in {"completed", "residual"} and hidden != DESTROYED
    may_recheck = audited and who.can("requests:write")
    return render_template(
        "request.html",
        section="pages.queue",
        item=item,
        may_destroy=item.state in TERMINAL and bool(context["facts"]) and who.can("requests:decide"),
        may_blind=item.state == "completed"
        and who.can("requests:decide")
        and any(fact.text.answer for fact in context["facts"]),
        approval_note=approval_note(item, who, self_approval),
        recheck_form=RecheckForm(formdata=None) if may_recheck else None,
        **context,
        **refused,
    )


def _progress(session: Session, item: Request) -> dict[str, Any]:
    job = newest_job(session, item.id)
    return {
        "job": job,
        "live": item.state in UNDERWAY and job is not None,
        "steps": steps_of(item, applied=was_applied(session, item.id)),
        "standing": standing_of(item, accepted=was_accepted(session, item.id)),
    }


def newest_job(session: Session, request_id: str) -> Job | None:
    """The job that applies and audits this request; re-checks come later and have their own page."""
    mine = [job for job in jobs.of_request(session, request_id) if job.recheck_id is None]
    return mine[-1] if mine else None


def _texts(session: Session, item: Request) -> tuple[list[requests.RequestFact], str]:
    if not may_read_texts(item, caller()):
        return [], HIDDEN_FACTS
    try:
        return requests.facts_of(session, services().vault, item.id), ""
    except TextsDestroyed:
        return [], DESTROYED


def _form(form: RequestForm, extra: tuple[tuple[str, str], ...] = ()) -> str:
    problems = [*problems_of(form), *extra]
    return render_template("request_new.html", section="pages.queue", form=form, problems=problems)


def _refused(form: RequestForm, error: StoreError) -> ResponseReturnValue:
    if error.status >= 500:
        raise error
    return _form(form, tuple(blame(form, error))), error.status
