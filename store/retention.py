"""The end of a request's texts: when it is settled and no re-check needs them, they and their keys are
destroyed.

What stays is the record: dates, decisions, digests, numbers and verdicts, without any personal data.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import events, requests, states, subjects
from store.database import changed, erases
from store.errors import RequestBusy
from store.models import AuditPhase, AuditRun, Fact, Recheck, Report, RequestFact


def destroy_texts(session: Session, request_id: str, *, actor: str) -> int:
    """Destroy what a settled request still says about people; returns how many subject keys were destroyed.

    `RequestBusy` while the request is open, a re-check is scheduled or an audit runs. A tombstone's ledger
    entry stays, with its key: the memory needs it to keep silent.
    """
    _refuse_if_needed(session, request_id)
    key_ids = set(
        session.scalars(sa.select(RequestFact.subject_key_id).where(RequestFact.request_id == request_id))
    )
    key_ids |= set(
        session.scalars(sa.select(AuditRun.subject_key_id).where(AuditRun.request_id == request_id))
    )
    runs = sa.select(AuditRun.id).where(AuditRun.request_id == request_id)
    for statement in (
        sa.update(RequestFact).where(RequestFact.request_id == request_id).values(ciphertext=None),
        sa.update(Fact).where(Fact.request_id == request_id).values(ciphertext=None),
        sa.update(Report).where(Report.request_id == request_id).values(html_ciphertext=None),
        sa.update(AuditPhase).where(AuditPhase.audit_run_id.in_(runs)).values(transcript_ciphertext=None),
    ):
        changed(session, statement)
    session.expire_all()
    erases(session)
    events.append(session, "request.texts_destroyed", actor=actor, request_id=request_id)
    return subjects.destroy_unused(session, key_ids, actor=actor, request_id=request_id)


def _refuse_if_needed(session: Session, request_id: str) -> None:
    request = requests.get(session, request_id)
    if request.state not in states.TERMINAL:
        raise RequestBusy("The request is still open: its texts are needed.")
    scheduled = sa.select(Recheck.id).where(Recheck.request_id == request_id, Recheck.active.is_(True))
    running = sa.select(AuditRun.id).where(AuditRun.request_id == request_id, AuditRun.state == "running")
    if session.scalars(scheduled.limit(1)).first() or session.scalars(running.limit(1)).first():
        raise RequestBusy("A re-check or an audit still needs the texts. Cancel the re-check first.")
