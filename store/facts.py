"""Facts of a bank: registered (to be written to the memory by a job), listed without text, read with it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events, jobs, ledger, subjects
from store.errors import AnswerRequired, DuplicateFact, UnknownFact
from store.ids import new_id
from store.models import Fact, Job, SubjectKey
from store.pages import Page, fetch
from store.subjects import DataKey
from store.texts import FactText, Limits, validated
from store.vault import Vault

_LIVE = ("pending", "written")
_DEFAULT_LIMITS = Limits()


def register(
    session: Session,
    vault: Vault,
    bank: str,
    texts: Sequence[FactText],
    *,
    actor: str,
    limits: Limits = _DEFAULT_LIMITS,
    max_attempts: int = 3,
) -> tuple[list[Fact], Job]:
    """Store facts as `pending` and queue the job that writes them; wake a worker after the commit.

    `InvalidInput`, `AnswerRequired`, or `DuplicateFact` (pending, written, or twice in the list) with
    positions.
    """
    clean = validated(texts, limits)
    require_answers(clean)
    subjects.check_master_key(session, vault)
    row = ledger.lock(session, ledger.bank(session, bank).id)
    indices = [vault.blind_index(row.id, text.prompt, text.answer) for text in clean]
    _refuse_duplicates(session, row.id, indices)
    keys = subjects.keys_for(session, vault, clean)
    facts = [
        insert(session, vault, row.id, key, text, index, kind="fact")
        for key, text, index in zip(keys, clean, indices, strict=True)
    ]
    ids = [fact.id for fact in facts]
    job = jobs.create(session, "write", bank_id=row.id, fact_ids=ids, max_attempts=max_attempts)
    events.append(
        session, "facts.registered", actor=actor, body={"bank": row.id, "facts": len(ids), "job": job.id}
    )
    return facts, job


def list_facts(
    session: Session,
    bank: str | None = None,
    *,
    states: Sequence[str] = (),
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Fact]:
    """Facts without their text, newest first, a page at a time."""
    query = sa.select(Fact)
    if bank is not None:
        query = query.where(Fact.bank_id == ledger.bank(session, bank).id)
    if states:
        query = query.where(Fact.state.in_(states))
    return fetch(session, query, Fact.created_at, Fact.id, limit=limit, cursor=cursor, descending=True)


def get(session: Session, fact_id: str) -> Fact:
    """One fact without its text; `UnknownFact`."""
    fact = session.get(Fact, fact_id, populate_existing=True)
    if fact is None:
        raise UnknownFact("There is no fact with this id.")
    return fact


def texts(session: Session, vault: Vault, ids: Sequence[str]) -> dict[str, FactText]:
    """Texts by fact id; facts that were forgotten or failed have none and are left out. `UnknownFact`."""
    rows = list(session.scalars(sa.select(Fact).where(Fact.id.in_(ids)))) if ids else []
    if len(rows) != len(set(ids)):
        raise UnknownFact("There is no fact with one of these ids.")
    kept = {row.id: row for row in rows if row.ciphertext is not None}
    keys = subjects.open_keys(session, vault, (row.subject_key_id for row in kept.values()))
    ordered = [kept[fact_id] for fact_id in dict.fromkeys(ids) if fact_id in kept]
    return {row.id: _open(vault, keys[row.subject_key_id], row) for row in ordered}


def written(session: Session, vault: Vault, bank_id: str) -> dict[str, FactText]:
    """The texts of all facts that the bank's memory holds, by id."""
    query = (
        sa.select(Fact, SubjectKey.wrapped_key)
        .join(SubjectKey, SubjectKey.id == Fact.subject_key_id)
        .where(Fact.bank_id == bank_id, Fact.kind == "fact", Fact.state == "written")
    )  # one statement: a bank may hold more facts than a statement takes ids
    rows = [(fact, wrapped) for fact, wrapped in session.execute(query) if fact.ciphertext is not None]
    keys = subjects.unwrapped(vault, {fact.subject_key_id: wrapped for fact, wrapped in rows})
    return {fact.id: _open(vault, keys[fact.subject_key_id], fact) for fact, _ in rows}


def insert(
    session: Session,
    vault: Vault,
    bank_id: str,
    key: DataKey,
    text: FactText,
    blind_index: str,
    *,
    kind: str,
    request_id: str | None = None,
) -> Fact:
    """Add one pending fact or tombstone, encrypted under `key`."""
    fact_id = new_id("fact")
    fact = Fact(
        id=fact_id,
        bank_id=bank_id,
        subject_key_id=key.id,
        kind=kind,
        state="pending",
        blind_index=blind_index,
        ciphertext=vault.encrypt(key.plain, text.to_bytes(), table="fact", column="ciphertext", row=fact_id),
        request_id=request_id,
        created_at=clocks.now(),
    )
    session.add(fact)
    session.flush()
    return fact


def require_answers(texts: Sequence[FactText]) -> None:
    """Raise `AnswerRequired` with the positions of facts that have no answer."""
    missing = [position for position, text in enumerate(texts) if not text.answer]
    if missing:
        raise AnswerRequired(missing)


def repeated(indices: Sequence[str]) -> list[int]:
    """Positions whose blind index came earlier in the list."""
    return [position for position, index in enumerate(indices) if index in indices[:position]]


def _refuse_duplicates(session: Session, bank_id: str, indices: Sequence[str]) -> None:
    query = sa.select(Fact.blind_index).where(Fact.bank_id == bank_id, Fact.blind_index.in_(indices))
    known = set(session.scalars(query.where(Fact.kind == "fact", Fact.state.in_(_LIVE))))
    taken = {position for position, index in enumerate(indices) if index in known}
    if taken | set(repeated(indices)):
        raise DuplicateFact(sorted(taken | set(repeated(indices))))


def _open(vault: Vault, key: bytes, row: Fact) -> FactText:
    sealed = row.ciphertext or b""
    return FactText.from_bytes(vault.decrypt(key, sealed, table="fact", column="ciphertext", row=row.id))
