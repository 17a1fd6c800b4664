"""Requests over the API: submit, list, show, decide, events, CSV."""

from __future__ import annotations

from flask import Response
from sqlalchemy.orm import Session

from store import audits, events, jobs, requests, retention
from store.models import Job, Request
from store.states import STATES
from web import exports, queries
from web.api import api
from web.api.guard import document, idempotent, located, requires
from web.api.inputs import Page, ReasonIn, RequestFilter, RequestIn
from web.api.outputs import (
    Decision,
    EventOut,
    EventPage,
    JobOut,
    ReportRef,
    RequestDetail,
    RequestOut,
    RequestPage,
)
from web.blinding import blind
from web.context import reading, services, transaction, wake_after_commit
from web.identity import caller, visible_request
from web.problems import Problem
from web.steps import allowed_steps
from web.submission import fact_texts, submit


@api.post("/requests")
@requires("requests:write")
@located("/api/v1/requests/{id}")
@idempotent
@api.input(RequestIn)
@api.output(RequestOut, status_code=201)
def submit_request(json_data: RequestIn) -> tuple[RequestOut, int]:
    """Submit a request

    Facts to forget must be written in the memory, word for word. The legal clock starts now; a reviewer
    decides.
    """
    submission = requests.Submission(
        kind=json_data.kind,
        facts=fact_texts(json_data.facts),
        regulation=json_data.regulation,
        reference=json_data.reference,
        bank=services().settings.bank,
    )
    with transaction() as session:
        made = submit(session, submission)
        return RequestOut.of(made), 201


@api.get("/requests")
@requires("requests:read")
@api.input(RequestFilter, location="query")
@api.output(RequestPage)
def list_requests(query_data: RequestFilter) -> RequestPage:
    """List requests, the most urgent first"""
    with reading() as session:
        found = requests.list_requests(
            session,
            states=_states(query_data.state),
            kind=query_data.kind,
            submitted_by=caller().only_own,
            limit=query_data.limit,
            cursor=query_data.cursor,
        )
    return RequestPage(items=[RequestOut.of(item) for item in found.items], next_cursor=found.next_cursor)


@api.get("/requests.csv")
@requires("requests:read")
@api.doc(responses=document("All requests", "text/csv", "string"))
def requests_csv() -> Response:
    """Export all requests as CSV

    Ids, dates, states and counts for your records; no text of any fact.
    """
    with reading() as session:
        return exports.csv_response(exports.all_requests(session, caller().only_own))


@api.get("/requests/<request_id>")
@requires("requests:read")
@api.output(RequestDetail)
def show_request(request_id: str) -> RequestOut:
    """Show a request with its newest job, its reports and the steps you may take"""
    with reading() as session:
        return _detail(session, visible_request(session, request_id))


@api.get("/requests/<request_id>/events")
@requires("requests:read")
@api.input(Page, location="query")
@api.output(EventPage)
def list_events(request_id: str, query_data: Page) -> EventPage:
    """List what happened to a request, oldest first"""
    with reading() as session:
        visible_request(session, request_id)
        found = events.page_of(session, request_id, limit=query_data.limit, cursor=query_data.cursor)
    return EventPage(items=[EventOut.of(event) for event in found.items], next_cursor=found.next_cursor)


@api.post("/requests/<request_id>/approve")
@requires("requests:decide")
@idempotent
@api.output(Decision)
def approve_request(request_id: str) -> Decision:
    """Approve a request

    Queues the job that applies and audits it. Who submitted a request may not approve it.
    """
    settings = services().settings
    with transaction() as session:
        job = requests.approve(
            session,
            request_id,
            actor=caller().user_id,
            allow_submitter=settings.allow_self_approval,
            max_attempts=settings.max_attempts,
        )
        return _decided(requests.get(session, request_id), job)


@api.post("/requests/<request_id>/deny")
@requires("requests:decide")
@idempotent
@api.input(ReasonIn)
@api.output(Decision)
def deny_request(request_id: str, json_data: ReasonIn) -> Decision:
    """Deny a request with a reason"""
    with transaction() as session:
        return _decided(requests.deny(session, request_id, actor=caller().user_id, reason=json_data.reason))


@api.post("/requests/<request_id>/cancel")
@requires("requests:write")
@idempotent
@api.output(Decision)
def cancel_request(request_id: str) -> Decision:
    """Cancel a request that has changed nothing in the memory yet"""
    with transaction() as session:
        visible_request(session, request_id)
        return _decided(requests.cancel(session, request_id, actor=caller().user_id))


@api.post("/requests/<request_id>/stop-audit")
@requires("requests:decide")
@idempotent
@api.output(Decision)
def stop_audit(request_id: str) -> Decision:
    """Stop the audit of an applied request

    The removal stays. The request needs a decision then: retry (it is audited again) or accept with a reason.
    """
    with transaction() as session:
        return _decided(requests.stop_audit(session, request_id, actor=caller().user_id))


@api.post("/requests/<request_id>/retry")
@requires("requests:decide")
@idempotent
@api.output(Decision)
def retry_request(request_id: str) -> Decision:
    """Try a failed or residual request again"""
    with transaction() as session:
        job = requests.retry(
            session, request_id, actor=caller().user_id, max_attempts=services().settings.max_attempts
        )
        return _decided(requests.get(session, request_id), job)


@api.post("/requests/<request_id>/accept")
@requires("requests:decide")
@idempotent
@api.input(ReasonIn)
@api.output(Decision)
def accept_request(request_id: str, json_data: ReasonIn) -> Decision:
    """Accept a leak that remains, with a reason

    The request is completed. Who submitted it may not accept its leak.
    """
    settings = services().settings
    with transaction() as session:
        accepted = requests.accept(
            session,
            request_id,
            actor=caller().user_id,
            reason=json_data.reason,
            allow_submitter=settings.allow_self_approval,
        )
        return _decided(accepted)


@api.post("/requests/<request_id>/destroy-answers")
@requires("requests:decide")
@idempotent
@api.output(RequestOut)
def destroy_answers(request_id: str) -> RequestOut:
    """Destroy the answers of a completed request and keep its re-checks

    Answers, transcripts and readable reports can never be read again. Prompts and subjects stay, and keyed digests
    by which a re-check recognises an answer that comes back. Destroying the texts ends that too.
    """
    with transaction() as session:
        retention.destroy_answers(session, services().vault, request_id, blind, actor=caller().user_id)
        return RequestOut.of(requests.get(session, request_id))


@api.post("/requests/<request_id>/destroy-texts")
@requires("requests:decide")
@idempotent
@api.output(RequestOut)
def destroy_texts(request_id: str) -> RequestOut:
    """Destroy the texts of a settled request

    Its facts, transcripts and readable reports can never be read again; ids, dates, figures and events stay. So do,
    of a censor, prompts and names in the memory, encrypted under new keys: it recognises the questions by them.
    """
    with transaction() as session:
        retention.destroy_texts(session, services().vault, request_id, actor=caller().user_id)
        return RequestOut.of(requests.get(session, request_id))


def _decided(request: Request, job: Job | None = None) -> Decision:
    if job is not None:
        wake_after_commit(job)
    return Decision(request=RequestOut.of(request), job=JobOut.of(job) if job is not None else None)


def _detail(session: Session, request: Request) -> RequestOut:
    all_jobs = jobs.of_request(session, request.id)
    return RequestDetail.of(
        request,
        fact_count=queries.facts_per_request(session, [request.id]).get(request.id, 0),
        job=JobOut.of(all_jobs[-1]) if all_jobs else None,
        reports=[ReportRef.of(report) for report in audits.reports_of(session, request.id)],
        allowed=allowed_steps(session, request, caller(), services().settings.allow_self_approval),
    )


def _states(names: str | None) -> list[str]:
    chosen = names.split(",") if names else []
    if not set(chosen) <= set(STATES):
        raise Problem(422, detail="There is no such state. The states are: " + ", ".join(STATES) + ".")
    return chosen
