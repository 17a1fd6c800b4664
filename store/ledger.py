"""The ledger: which entries make up a bank, and the one function that commits a new revision of it.

A bank's state is a function of its ledger: a worker that lost everything rebuilds the same bits from
`entries`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events, subjects
from store.database import changed, erases, insert_or_ignore, is_read_only
from store.errors import InvalidInput, StaleRevision, UnknownBank, UnknownFact
from store.events import EventBody
from store.ids import new_id
from store.models import Bank, BankRevision, Fact, LedgerEntry, SubjectKey
from store.vault import Vault

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IN_MEMORY = ("pending", "written")


def bank(session: Session, name: str) -> Bank:
    """The bank of that name; made on first use (a read-only session raises `UnknownBank` instead)."""
    found = session.scalars(sa.select(Bank).where(Bank.name == name)).one_or_none()
    if found is not None:
        return found
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "A bank's name is 1 to 64 letters, digits, dots, dashes or underscores.", field="bank"
        )
    if is_read_only(session):
        raise UnknownBank("There is no bank of this name.")
    insert_or_ignore(
        session, Bank, id=new_id("bank"), name=name, revision=0, digest="", updated_at=clocks.now()
    )
    return session.scalars(sa.select(Bank).where(Bank.name == name)).one()


def get_bank(session: Session, bank_id: str) -> Bank:
    """The bank as the database has it now; `UnknownBank`."""
    query = sa.select(Bank).where(Bank.id == bank_id).execution_options(populate_existing=True)
    found = session.scalars(query).one_or_none()
    if found is None:
        raise UnknownBank("There is no bank with this id.")
    return found


def lock(session: Session, bank_id: str) -> Bank:
    """The bank, locked until this transaction ends (on SQLite every writing session has that already)."""
    query = (
        sa.select(Bank)
        .where(Bank.id == bank_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.scalars(query).one()


def revisions(session: Session, bank_id: str, limit: int = 50) -> list[BankRevision]:
    """The committed revisions of a bank, newest first."""
    query = sa.select(BankRevision).where(BankRevision.bank_id == bank_id)
    return list(session.scalars(query.order_by(BankRevision.revision.desc()).limit(limit)))


def entries(session: Session, vault: Vault, bank_id: str) -> list[tuple[str, bytes]]:
    """All (fact_id, entry bytes) of a bank, decrypted, in the order of fact ids."""
    query = (
        sa.select(LedgerEntry.fact_id, LedgerEntry.ciphertext, Fact.subject_key_id, SubjectKey.wrapped_key)
        .join(Fact, Fact.id == LedgerEntry.fact_id)
        .join(SubjectKey, SubjectKey.id == Fact.subject_key_id)
    )  # one statement: an entry and its key belong together, also while a request's texts move to other keys
    rows = session.execute(query.where(LedgerEntry.bank_id == bank_id)).all()
    keys = subjects.unwrapped(vault, {row.subject_key_id: row.wrapped_key for row in rows})
    opened = [
        (row.fact_id, _open(vault, keys[row.subject_key_id], row.fact_id, row.ciphertext)) for row in rows
    ]
    return sorted(opened)


def commit_revision(
    session: Session,
    vault: Vault,
    bank_id: str,
    *,
    expected_revision: int,
    add: Mapping[str, bytes],
    remove: Sequence[str],
    digest: str,
    reason: str,
    request_id: str | None = None,
    actor: str = "worker",
) -> int:
    """Commit a new state of a bank in this transaction and return its revision.

    Compare-and-set on `expected_revision` (`StaleRevision`). `add` maps fact ids to entry bytes; an id that
    is in the ledger already is replaced (a widened scope). `remove` deletes ledger rows and the facts' own
    ciphertext. Facts become `written` or `forgotten`. `UnknownFact` if an id is not the bank's; nothing is
    changed then.
    """
    revision = expected_revision + 1
    step = sa.update(Bank).where(Bank.id == bank_id, Bank.revision == expected_revision)
    if changed(session, step.values(revision=revision, digest=digest, updated_at=clocks.now())) != 1:
        raise StaleRevision("Another worker committed a revision of this bank first. Read the ledger again.")
    _put(session, vault, bank_id, revision, add)
    _take(session, bank_id, remove)
    session.add(
        BankRevision(
            id=new_id("rev"),
            bank_id=bank_id,
            revision=revision,
            digest=digest,
            reason=reason,
            request_id=request_id,
            created_at=clocks.now(),
        )
    )
    body: EventBody = {
        "bank": bank_id,
        "revision": revision,
        "added": len(add),
        "removed": len(remove),
        "digest": digest,
    }
    events.append(session, "bank.revision", actor=actor, request_id=request_id, body=body)
    return revision


def move_to_key(session: Session, vault: Vault, fact: Fact, key_id: str) -> None:
    """Seal what the ledger holds of a fact under another subject key, which is the fact's key from now on."""
    row = session.get(LedgerEntry, fact.id)
    keys = subjects.open_keys(session, vault, [fact.subject_key_id, key_id])
    if row is not None:
        entry = _open(vault, keys[fact.subject_key_id], fact.id, row.ciphertext)
        row.ciphertext = vault.encrypt(
            keys[key_id], entry, table="ledger_entry", column="ciphertext", row=fact.id
        )
    fact.subject_key_id = key_id


def _put(session: Session, vault: Vault, bank_id: str, revision: int, add: Mapping[str, bytes]) -> None:
    facts = _facts(session, bank_id, add)
    if any(fact.state not in _IN_MEMORY for fact in facts):
        raise UnknownFact("A fact that was forgotten or failed cannot be written again under its old id.")
    keys = subjects.open_keys(session, vault, (fact.subject_key_id for fact in facts))
    for fact in facts:
        place = {"table": "ledger_entry", "column": "ciphertext", "row": fact.id}
        sealed = vault.encrypt(keys[fact.subject_key_id], add[fact.id], **place)
        row = session.get(LedgerEntry, fact.id)
        if row is None:
            session.add(
                LedgerEntry(
                    fact_id=fact.id, bank_id=bank_id, kind=fact.kind, ciphertext=sealed, revision=revision
                )
            )
        else:
            row.ciphertext, row.revision = sealed, revision
        if fact.state == "pending":
            fact.state, fact.written_revision = "written", revision
    session.flush()


def _take(session: Session, bank_id: str, remove: Sequence[str]) -> None:
    if not remove:
        return
    ids = list(dict.fromkeys(remove))
    gone = sa.delete(LedgerEntry).where(LedgerEntry.bank_id == bank_id, LedgerEntry.fact_id.in_(ids))
    if changed(session, gone) != len(ids):
        raise UnknownFact("A fact to be removed is not in this bank's ledger.")
    session.expire_all()
    for fact in _facts(session, bank_id, ids):
        fact.state, fact.ciphertext, fact.blind_index = "forgotten", None, None
    session.flush()
    erases(session)


def _facts(session: Session, bank_id: str, ids: Mapping[str, bytes] | Sequence[str]) -> list[Fact]:
    query = sa.select(Fact).where(Fact.bank_id == bank_id, Fact.id.in_(list(ids)))
    found = list(session.scalars(query)) if ids else []
    if len(found) != len(ids):
        raise UnknownFact("A fact is not known in this bank.")
    return found


def _open(vault: Vault, key: bytes, fact_id: str, sealed: bytes) -> bytes:
    return vault.decrypt(key, sealed, table="ledger_entry", column="ciphertext", row=fact_id)
