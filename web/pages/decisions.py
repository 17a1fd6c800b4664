"""What a person decides on a request: approve, deny, cancel, retry, accept. Each is one POST and one
transaction.

Each form that moves the request on carries the version that its reader saw, so that nobody decides on what they
have not seen. The two that destroy do not: they are open at settled requests only, which no step moves any more.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from store import requests, retention
from store.errors import InvalidInput, ReasonRequired, StoreError
from store.models import Job
from web.blinding import blind
from web.context import services, transaction, wake_after_commit
from web.identity import caller, page, visible_request
from web.pages import pages
from web.pages.forms import whole_number
from web.pages.requests import render_request

Step = Callable[[Session], Job | object]
_NO_VERSION = -1  # what no page shows: such a decision is refused as one on an outdated page


@pages.post("/requests/<request_id>/approve")
@page("requests:decide")
def approve(request_id: str) -> ResponseReturnValue:
    """Approve; a worker is woken."""
    settings = services().settings
    return _decide(
        request_id,
        lambda session: requests.approve(
            session,
            request_id,
            actor=caller().user_id,
            expected_version=_version(),
            allow_submitter=settings.allow_self_approval,
            max_attempts=settings.max_attempts,
        ),
        "Approved. A worker applies and audits the request.",
    )


@pages.post("/requests/<request_id>/retry")
@page("requests:decide")
def retry(request_id: str) -> ResponseReturnValue:
    """Send a failed or residual request to work again."""
    attempts = services().settings.max_attempts
    return _decide(
        request_id,
        lambda session: requests.retry(
            session, request_id, actor=caller().user_id, expected_version=_version(), max_attempts=attempts
        ),
        "Sent to work again.",
    )


@pages.post("/requests/<request_id>/cancel")
@page("requests:write")
def cancel(request_id: str) -> ResponseReturnValue:
    """Withdraw a request."""
    return _decide(
        request_id,
        lambda session: requests.cancel(
            session, request_id, actor=caller().user_id, expected_version=_version()
        ),
        "The request was cancelled.",
    )


@pages.post("/requests/<request_id>/stop-audit")
@page("requests:decide")
def stop_audit(request_id: str) -> ResponseReturnValue:
    """Stop the audit of an applied request."""
    return _decide(
        request_id,
        lambda session: requests.stop_audit(
            session, request_id, actor=caller().user_id, expected_version=_version()
        ),
        "The audit stops at its next batch. The removal stays.",
    )


@pages.post("/requests/<request_id>/deny")
@page("requests:decide")
def deny(request_id: str) -> ResponseReturnValue:
    """Deny with a reason."""
    return _with_reason(
        request_id,
        "deny",
        lambda session, reason: requests.deny(
            session, request_id, actor=caller().user_id, reason=reason, expected_version=_version()
        ),
        "The request was denied.",
    )


@pages.post("/requests/<request_id>/accept")
@page("requests:decide")
def accept(request_id: str) -> ResponseReturnValue:
    """Accept a leak that remains, with a reason."""
    settings = services().settings
    return _with_reason(
        request_id,
        "accept",
        lambda session, reason: requests.accept(
            session,
            request_id,
            actor=caller().user_id,
            reason=reason,
            expected_version=_version(),
            allow_submitter=settings.allow_self_approval,
        ),
        "The leak was accepted and the request completed.",
    )


@pages.post("/requests/<request_id>/destroy-answers")
@page("requests:decide")
def destroy_answers(request_id: str) -> ResponseReturnValue:
    """Destroy the answers of a completed request; re-checks go on with keyed digests."""
    vault = services().vault
    return _decide(
        request_id,
        lambda session: retention.destroy_answers(session, vault, request_id, blind, actor=caller().user_id),
        "The answers were destroyed. Re-checks go on: they look for keyed digests.",
    )


@pages.post("/requests/<request_id>/destroy-texts")
@page("requests:decide")
def destroy_texts(request_id: str) -> ResponseReturnValue:
    """Destroy what a settled request still says about people."""
    vault = services().vault
    return _decide(
        request_id,
        lambda session: retention.destroy_texts(session, vault, request_id, actor=caller().user_id),
        "The texts were destroyed. Ids, dates, figures and events stay.",
    )


def _decide(request_id: str, step: Step, done: str) -> ResponseReturnValue:
    try:
        with transaction() as session:
            visible_request(session, request_id)
            result = step(session)
    except StoreError as error:
        if error.status not in {403, 409}:
            raise
        flash(str(error), "warn")
    else:
        if isinstance(result, Job):
            wake_after_commit(result)
        flash(done, "good")
    return redirect(url_for("pages.show_request", request_id=request_id))


def _with_reason(
    request_id: str, action: str, step: Callable[[Session, str], object], done: str
) -> ResponseReturnValue:
    reason = request.form.get("reason", "")
    try:
        return _decide(request_id, lambda session: step(session, reason), done)
    except (ReasonRequired, InvalidInput) as error:
        page_again = render_request(
            request_id, reason_for=action, reason_text=reason, reason_error=str(error)
        )
        return page_again, 422


def _version() -> int | None:
    value = request.form.get("version")
    if value is None:
        return None
    seen = whole_number(value)
    return _NO_VERSION if seen is None else seen
