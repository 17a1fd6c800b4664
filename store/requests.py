"""Requests: submitted, decided, retried, listed, read. Every decision is one transaction with its event and
its job.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events, facts, jobs, ledger, models, recheck_runs, states, subjects
from store.database import changed, erases
from store.errors import (
    AlreadyUnderway,
    DuplicateFact,
    FactGone,
    FactNotWritten,
    InvalidInput,
    SamePerson,
    UnknownRequest,
)
from store.events import EventBody
from store.ids import new_id
from store.models import Event, Fact, Job, Request
from store.named import RequestFact as RequestFact
from store.named import fact_ids_of as fact_ids_of
from store.named import fact_rows
from store.named import facts_of as facts_of
from store.named import refuse_without_texts as refuse_without_texts
from store.pages import Page, fetch
from store.subjects import DataKey
from store.texts import FactText, Limits, validated
from store.vault import Vault

_REFERENCE = re.compile(r"[A-Za-z0-9._-]{0,64}")
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Submission:
    """What a requester sends."""

    kind: models.RequestKind
    facts: Sequence[FactText]
    regulation: models.Regulation = "gdpr"
    reference: str = ""
    bank: str = "default"


def submit(
    session: Session,
    vault: Vault,
    submission: Submission,
    *,
    actor: str,
    limits: Limits = _DEFAULT_LIMITS,
    holidays: Collection[date] = (),
    received_at: datetime | None = None,
) -> Request:
    """Take a request in: encrypted facts, legal clock, event, state `received`.

    `InvalidInput`, `AnswerRequired`, `DuplicateFact` (listed twice, or censored already), and for a forget
    `FactNotWritten` with the positions that the bank's memory does not hold.
    """
    _check_words(submission)
    texts = validated(submission.facts, limits)
    facts.require_answers(texts)
    subjects.check_master_key(session, vault)
    bank = ledger.lock(session, ledger.bank(session, submission.bank).id)
    indices = [vault.blind_index(bank.id, text.prompt, text.answer) for text in texts]
    if again := facts.repeated(indices):
        raise DuplicateFact(again)
    written = _written(session, bank.id, indices, kind="fact" if submission.kind == "forget" else "tombstone")
    received = received_at or clocks.now()
    request = _insert(session, submission, bank.id, actor, received, holidays)
    if submission.kind == "forget":
        _name_facts(session, vault, request, texts, indices, written)
    else:
        _make_tombstones(session, vault, request, texts, indices, written)
    request.duplicate_of = _open_twin(session, request, indices)
    session.flush()
    body: EventBody = {"kind": request.kind, "regulation": request.regulation, "facts": len(texts)}
    events.append(session, "request.submit", actor=actor, request_id=request.id, body=body)
    return request


def approve(
    session: Session,
    request_id: str,
    *,
    actor: str,
    expected_version: int | None = None,
    allow_submitter: bool = False,
    max_attempts: int = 3,
) -> Job:
    """Approve and queue the job, in one transaction; wake a worker after the commit.

    `SamePerson` unless `allow_submitter`; `FactGone` or `AlreadyUnderway` if another request was faster.
    """
    request = get(session, request_id)
    _refuse_submitter(request, actor, "approve it", allow_submitter)
    ledger.lock(session, request.bank_id)
    states.transition(session, request_id, "approve", actor=actor, expected_version=expected_version)
    rows = fact_rows(session, request_id)
    _refuse_overlap(session, request, rows)
    return _queue(session, request, rows, max_attempts)


def deny(
    session: Session, request_id: str, *, actor: str, reason: str, expected_version: int | None = None
) -> Request:
    """Deny with a reason (`ReasonRequired`)."""
    request = states.transition(
        session, request_id, "deny", actor=actor, reason=reason, expected_version=expected_version
    )
    _drop_tombstones(session, request_id)
    return request


def cancel(
    session: Session,
    request_id: str,
    *,
    actor: str,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Request:
    """Withdraw a request before work on it has begun, or after it failed; its queued job ends.

    `AlreadyApplied` once it changed the memory: an audit that is sent to work again does not undo that.
    """
    jobs.lock_of_request(session, request_id)
    request = states.transition(
        session, request_id, "cancel", actor=actor, reason=reason, expected_version=expected_version
    )
    jobs.cancel_of_request(session, request_id, actor=actor)
    _drop_tombstones(session, request_id)
    return request


def retry(
    session: Session,
    request_id: str,
    *,
    actor: str,
    expected_version: int | None = None,
    max_attempts: int = 3,
) -> Job:
    """Try a failed or residual request again: approved, with a new job.

    `FactGone` or `AlreadyUnderway` if it was never applied and another request was faster meanwhile.
    """
    ledger.lock(session, get(session, request_id).bank_id)
    request = states.transition(session, request_id, "retry", actor=actor, expected_version=expected_version)
    rows = fact_rows(session, request_id)
    if not states.was_applied(session, request_id):
        _refuse_overlap(session, request, rows)
    return _queue(session, request, rows, max_attempts)


def accept(
    session: Session,
    request_id: str,
    *,
    actor: str,
    reason: str,
    expected_version: int | None = None,
    allow_submitter: bool = False,
) -> Request:
    """Accept a residual leak with a reason: the request is completed. `SamePerson` unless `allow_submitter`."""
    _refuse_submitter(get(session, request_id), actor, "accept its leak", allow_submitter)
    return states.transition(
        session, request_id, "accept", actor=actor, reason=reason, expected_version=expected_version
    )


def stop_audit(
    session: Session, request_id: str, *, actor: str, expected_version: int | None = None
) -> Request:
    """Stop the audit of a request that is applied: what was removed stays removed, and a person decides whether
    to audit again or to accept with a reason. The worker notices at its next batch of samples.
    """
    jobs.lock_of_request(session, request_id)
    request = states.transition(
        session, request_id, "stop_audit", actor=actor, expected_version=expected_version
    )
    jobs.cancel_of_request(session, request_id, actor=actor)
    return request


def get(session: Session, request_id: str) -> Request:
    """The request as the database has it now; `UnknownRequest`."""
    request = session.get(Request, request_id, populate_existing=True)
    if request is None:
        raise UnknownRequest("There is no request with this id.")
    return request


def list_requests(
    session: Session,
    *,
    states: Sequence[str] = (),
    kind: str | None = None,
    submitted_by: str | None = None,
    troubled_rechecks: bool = False,
    order: Literal["due", "newest"] = "due",
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Request]:
    """Requests, the most urgent first (or the newest), a page at a time. `troubled_rechecks` adds those whose
    re-check failed or leaked when it ran last to those in `states`.
    """
    column = Request.due_at if order == "due" else Request.received_at
    query = sa.select(Request)
    for attribute, value in {Request.kind: kind, Request.submitted_by: submitted_by}.items():
        if value is not None:
            query = query.where(attribute == value)
    if states:
        wanted = Request.state.in_(states)
        query = query.where(sa.or_(wanted, recheck_runs.troubled()) if troubled_rechecks else wanted)
    newest = order == "newest"
    return fetch(session, query, column, Request.id, limit=limit, cursor=cursor, descending=newest)


def events_of(session: Session, request_id: str, *, limit: int = 200) -> list[Event]:
    """What happened to a request lately, in order; `events.page_of` gives all.

    Ask `states.was_applied` and `states.was_accepted` for what was decided: re-checks add events for years.
    """
    get(session, request_id)
    return events.newest_of(session, request_id, limit)


def _refuse_submitter(request: Request, actor: str, step: str, allowed: bool) -> None:
    if request.submitted_by == actor and not allowed:
        raise SamePerson(f"Who submitted a request may not {step}. Ask another reviewer.")


def _check_words(submission: Submission) -> None:
    if submission.kind not in get_args(models.RequestKind):
        raise InvalidInput("The kind of a request is 'forget' or 'censor'.", field="kind")
    if submission.regulation not in get_args(models.Regulation):
        raise InvalidInput("The regulation is 'gdpr', 'ccpa' or 'other'.", field="regulation")
    if not _REFERENCE.fullmatch(submission.reference):
        allowed = "at most 64 letters, digits, dots, dashes or underscores"
        raise InvalidInput(f"The reference is {allowed}.", field="reference")


def _written(session: Session, bank_id: str, indices: Sequence[str], *, kind: str) -> dict[str, Fact]:
    query = sa.select(Fact).where(Fact.bank_id == bank_id, Fact.kind == kind, Fact.state == "written")
    rows = session.scalars(query.where(Fact.blind_index.in_(indices)))
    return {row.blind_index: row for row in rows if row.blind_index is not None}


def _insert(
    session: Session,
    submission: Submission,
    bank_id: str,
    actor: str,
    received: datetime,
    holidays: Collection[date],
) -> Request:
    request = Request(
        id=new_id("req"),
        bank_id=bank_id,
        kind=submission.kind,
        regulation=submission.regulation,
        state="received",
        reference=submission.reference,
        received_at=received,
        due_at=clocks.due_at(submission.regulation, received, holidays),
        submitted_by=actor,
        row_version=1,
    )
    session.add(request)
    session.flush()
    return request


def _name_facts(
    session: Session,
    vault: Vault,
    request: Request,
    texts: Sequence[FactText],
    indices: Sequence[str],
    written: dict[str, Fact],
) -> None:
    missing = [position for position, index in enumerate(indices) if index not in written]
    if missing:
        raise FactNotWritten(missing)
    keys = subjects.open_keys(session, vault, (fact.subject_key_id for fact in written.values()))
    for position, (text, index) in enumerate(zip(texts, indices, strict=True)):
        fact = written[index]
        key = DataKey(fact.subject_key_id, keys[fact.subject_key_id])
        _name(session, vault, request, position, key, fact.id, text)


def _make_tombstones(
    session: Session,
    vault: Vault,
    request: Request,
    texts: Sequence[FactText],
    indices: Sequence[str],
    written: dict[str, Fact],
) -> None:
    censored = [position for position, index in enumerate(indices) if index in written]
    if censored:
        raise DuplicateFact(censored)
    keys = subjects.keys_for(session, vault, texts)
    for position, (key, text, index) in enumerate(zip(keys, texts, indices, strict=True)):
        fact = facts.insert(
            session, vault, request.bank_id, key, text, index, kind="tombstone", request_id=request.id
        )
        _name(session, vault, request, position, key, fact.id, text)


def _name(
    session: Session,
    vault: Vault,
    request: Request,
    position: int,
    key: DataKey,
    fact_id: str,
    text: FactText,
) -> None:
    row_id = new_id("rf")
    sealed = vault.encrypt(key.plain, text.to_bytes(), table="request_fact", column="ciphertext", row=row_id)
    session.add(
        models.RequestFact(
            id=row_id,
            request_id=request.id,
            position=position,
            fact_id=fact_id,
            subject_key_id=key.id,
            ciphertext=sealed,
        )
    )


def _overlapping(
    session: Session, request: Request, indices: Sequence[str], states: Sequence[str]
) -> str | None:
    """The oldest other request of this kind, in one of `states`, that names one of these facts."""
    query = (
        sa.select(Request.id)
        .join(models.RequestFact, models.RequestFact.request_id == Request.id)
        .join(Fact, Fact.id == models.RequestFact.fact_id)
        .where(Request.bank_id == request.bank_id, Request.kind == request.kind, Request.id != request.id)
        .where(Request.state.in_(states), Fact.blind_index.in_(indices))
        .order_by(Request.received_at, Request.id)
    )
    return session.scalars(query.limit(1)).first()


def _open_twin(session: Session, request: Request, indices: Sequence[str]) -> str | None:
    session.flush()
    return _overlapping(session, request, indices, ("received", *states.UNDERWAY, "failed", "residual"))


def _refuse_overlap(session: Session, request: Request, rows: Sequence[models.RequestFact]) -> None:
    named = {fact.id: fact for fact in session.scalars(sa.select(Fact).where(Fact.id.in_(_ids(rows))))}
    wanted = "written" if request.kind == "forget" else "pending"
    lost = [row.position for row in rows if row.fact_id is None or named[row.fact_id].state != wanted]
    if lost:
        raise FactGone(lost)
    indices = [fact.blind_index for fact in named.values() if fact.blind_index is not None]
    busy = _overlapping(session, request, indices, sorted(states.UNDERWAY))
    if busy is not None or (
        request.kind == "censor" and _written(session, request.bank_id, indices, kind="tombstone")
    ):
        raise AlreadyUnderway(
            "Another approved request covers one of the same facts. Deny or cancel this one as a duplicate."
        )


def _ids(rows: Sequence[models.RequestFact]) -> list[str]:
    return [row.fact_id for row in rows if row.fact_id is not None]


def _queue(session: Session, request: Request, rows: Sequence[models.RequestFact], max_attempts: int) -> Job:
    return jobs.create(
        session,
        request.kind,
        bank_id=request.bank_id,
        request_id=request.id,
        fact_ids=_ids(rows),
        max_attempts=max_attempts,
    )


def _drop_tombstones(session: Session, request_id: str) -> None:
    """A censor that will not happen needs no tombstones."""
    pending = sa.update(Fact).where(Fact.request_id == request_id, Fact.state == "pending")
    if changed(session, pending.values(state="failed", ciphertext=None, blind_index=None)):
        erases(session)
