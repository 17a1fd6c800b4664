"""The end of a request's texts: first, if people want, only the answers, then everything with its keys.

What stays is the record: dates, decisions, digests, numbers and verdicts, without any personal data.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import events, jobs, ledger, requests, states, subjects
from store.database import changed, erases
from store.errors import AnswerStandsElsewhere, IllegalTransition, RequestBusy
from store.models import AuditBatch, AuditPhase, AuditRun, Fact, LedgerEntry, Recheck, Report, RequestFact
from store.subjects import DataKey
from store.texts import FactText
from store.vault import KEY_BYTES, Vault

Blind = Callable[[bytes, str, FactText], bytes | None]
"""Key, fact id and text in; out the record of the answer's digests (`audit.blind`), or None when the answer also
stands in what would be kept."""


def destroy_answers(session: Session, vault: Vault, request_id: str, blind: Blind, *, actor: str) -> int:
    """Destroy the answers of a completed request and keep what re-checks need: prompts, subjects, and digests by
    which the answer is recognised. Returns how many subject keys were destroyed; 0 when it was done before.

    Transcripts and readable reports go too: they may hold the answer. What is kept is sealed under new keys and
    the old ones are destroyed, so that older copies of the database cannot be read either. `RequestBusy` while an
    audit runs, `IllegalTransition` unless the request is completed, `AnswerStandsElsewhere`, `TextsDestroyed`.
    """
    jobs.lock_of_request(session, request_id)  # a re-check that begins at this moment comes before or after
    request = requests.get(session, request_id)
    if request.state != "completed":
        raise IllegalTransition(request.state, "destroy the answers")
    _refuse_while_audited(session, request_id)
    named = requests.facts_of(session, vault, request_id)
    if any(fact.is_blind for fact in named):
        return 0
    ledger.lock(session, request.bank_id)  # its tombstones move to other keys
    old = _keys_of(session, request_id)
    _blind(session, vault, request_id, named, blind)
    _move_tombstones(session, vault, _to_named_keys(session, request_id))
    _drop_audited_texts(session, request_id)
    session.expire_all()
    erases(session)
    events.append(session, "request.answers_destroyed", actor=actor, request_id=request_id)
    return subjects.destroy_unused(session, old, actor=actor, request_id=request_id)


def destroy_texts(session: Session, vault: Vault, request_id: str, *, actor: str) -> int:
    """Destroy what a settled request still says about people; returns how many subject keys were destroyed.

    `RequestBusy` while the request is open, a re-check is scheduled or an audit runs. A tombstone's ledger entry
    stays, for the memory recognises the question by its prompt and names; it is sealed under a new key, so that the
    old one, which opens prompt and answer in older copies, is destroyed too. Blind digests go with their key's salt.
    """
    jobs.lock_of_request(session, request_id)
    _refuse_if_needed(session, request_id)
    ledger.lock(session, requests.get(session, request_id).bank_id)  # its tombstones move to other keys
    key_ids = _keys_of(session, request_id)
    _move_tombstones(session, vault, _to_fresh_keys(session, vault, request_id, key_ids))
    for statement in (
        sa.update(RequestFact)
        .where(RequestFact.request_id == request_id)
        .values(ciphertext=None, blind_ciphertext=None, blind_salt=None),
        sa.update(Fact).where(Fact.request_id == request_id).values(ciphertext=None, blind_index=None),
    ):
        changed(session, statement)
    _drop_audited_texts(session, request_id)
    session.expire_all()
    erases(session)
    events.append(session, "request.texts_destroyed", actor=actor, request_id=request_id)
    return subjects.destroy_unused(session, key_ids, actor=actor, request_id=request_id)


def _refuse_if_needed(session: Session, request_id: str) -> None:
    request = requests.get(session, request_id)
    if request.state not in states.TERMINAL:
        raise RequestBusy("The request is still open: its texts are needed.")
    scheduled = sa.select(Recheck.id).where(Recheck.request_id == request_id, Recheck.active.is_(True))
    if session.scalars(scheduled.limit(1)).first():
        raise RequestBusy("A re-check or an audit still needs the texts. Cancel the re-check first.")
    _refuse_while_audited(session, request_id)


def _refuse_while_audited(session: Session, request_id: str) -> None:
    running = sa.select(AuditRun.id).where(AuditRun.request_id == request_id, AuditRun.state == "running")
    if session.scalars(running.limit(1)).first():
        raise RequestBusy(
            "An audit of this request is running and needs the texts. Stop it, or wait for its end."
        )


def _keys_of(session: Session, request_id: str) -> set[str]:
    named = sa.select(RequestFact.subject_key_id).where(RequestFact.request_id == request_id)
    runs = sa.select(AuditRun.subject_key_id).where(AuditRun.request_id == request_id)
    return {*session.scalars(named), *session.scalars(runs)}


def _blind(
    session: Session, vault: Vault, request_id: str, named: list[requests.RequestFact], blind: Blind
) -> None:
    """Put prompt and digests, under new keys, in the place of prompt and answer."""
    query = sa.select(RequestFact).where(RequestFact.request_id == request_id).order_by(RequestFact.position)
    rows = list(session.scalars(query))
    keys = subjects.keys_for(session, vault, [fact.text for fact in named])
    elsewhere = []
    for row, fact, key in zip(rows, named, keys, strict=True):
        salt = os.urandom(KEY_BYTES)
        record = blind(vault.blind_key(salt, row.id), fact.fact_id, fact.text)
        if record is None:
            elsewhere.append(row.position)
            continue
        left = FactText(fact.text.prompt, "", fact.text.subject, fact.text.aliases)
        row.subject_key_id, row.blind_salt = key.id, salt
        row.ciphertext = _sealed(vault, key, "ciphertext", row.id, left.to_bytes())
        row.blind_ciphertext = _sealed(vault, key, "blind", row.id, record)
    if elsewhere:
        raise AnswerStandsElsewhere(elsewhere)
    session.flush()


def _sealed(vault: Vault, key: DataKey, column: str, row: str, data: bytes) -> bytes:
    return vault.encrypt(key.plain, data, table="request_fact", column=column, row=row)


def _to_named_keys(session: Session, request_id: str) -> list[tuple[Fact, str]]:
    """The request's tombstones, each with the key that its prompt lies under now."""
    query = (
        sa.select(Fact, RequestFact.subject_key_id)
        .join(RequestFact, RequestFact.fact_id == Fact.id)
        .where(Fact.request_id == request_id, RequestFact.request_id == request_id)
    )
    return [(fact, key_id) for fact, key_id in session.execute(query).all()]


def _to_fresh_keys(session: Session, vault: Vault, request_id: str, old: set[str]) -> list[tuple[Fact, str]]:
    """The request's tombstones that lie in the memory under an old key, each with a fresh one; those of one subject
    share theirs as before.
    """
    query = sa.select(Fact).join(LedgerEntry, LedgerEntry.fact_id == Fact.id).order_by(Fact.id)
    found = session.scalars(query.where(Fact.request_id == request_id, Fact.subject_key_id.in_(old))).all()
    fresh = {key: subjects.new_key(session, vault).id for key in sorted({f.subject_key_id for f in found})}
    return [(fact, fresh[fact.subject_key_id]) for fact in found]


def _move_tombstones(session: Session, vault: Vault, moves: Iterable[tuple[Fact, str]]) -> None:
    """Tombstones lose their text; what the memory needs of them moves to the key beside them."""
    for fact, key_id in moves:
        fact.ciphertext = None
        ledger.move_to_key(session, vault, fact, key_id)
    session.flush()


def _drop_audited_texts(session: Session, request_id: str) -> None:
    """Transcripts, samples of audits that were never finished, and readable reports."""
    runs = sa.select(AuditRun.id).where(AuditRun.request_id == request_id)
    for statement in (
        sa.update(Report).where(Report.request_id == request_id).values(html_ciphertext=None),
        sa.update(AuditPhase).where(AuditPhase.audit_run_id.in_(runs)).values(transcript_ciphertext=None),
        sa.delete(AuditBatch).where(AuditBatch.audit_run_id.in_(runs)),
    ):
        changed(session, statement)
