"""Subject keys: made with the first fact of a subject in a list, destroyed when nothing needs them.

Facts of one call that name the same subject share a key; a fact without a subject has a key of its own. Calls
are not linked with each other: that would need an index of people's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events
from store.database import changed, erases, insert_or_ignore, is_read_only
from store.errors import VaultError
from store.ids import new_id
from store.models import AuditRun, Fact, LedgerEntry, MasterKeySeal, RequestFact, SubjectKey
from store.texts import FactText
from store.vault import Vault, normalise


@dataclass(frozen=True)
class DataKey:
    """An unwrapped subject key; lives in memory only."""

    id: str
    plain: bytes

    def __repr__(self) -> str:
        """Never show the key."""
        return f"DataKey({self.id})"


def check_master_key(session: Session, vault: Vault) -> None:
    """Raise `VaultError` if the database was made with another master key; the first use seals the key in."""
    row = session.get(MasterKeySeal, 1)
    if row is None and not is_read_only(session):
        insert_or_ignore(session, MasterKeySeal, id=1, sealed=vault.seal(), created_at=clocks.now())
        row = session.get(MasterKeySeal, 1)
    if row is not None:
        vault.check_seal(row.sealed)


def new_key(session: Session, vault: Vault) -> DataKey:
    """Make and store a fresh key."""
    plain, wrapped = vault.new_subject_key()
    row = SubjectKey(id=new_id("key"), wrapped_key=wrapped, created_at=clocks.now())
    session.add(row)
    session.flush()
    return DataKey(row.id, plain)


def keys_for(session: Session, vault: Vault, texts: Sequence[FactText]) -> list[DataKey]:
    """One new key a subject: texts that name the same subject get the same key."""
    by_subject: dict[str, DataKey] = {}
    keys = []
    for text in texts:
        subject = normalise(text.subject)
        key = by_subject.get(subject) if subject else None
        key = key or new_key(session, vault)
        if subject:
            by_subject[subject] = key
        keys.append(key)
    return keys


def open_keys(session: Session, vault: Vault, key_ids: Iterable[str]) -> dict[str, bytes]:
    """Plain keys by id; `VaultError` if one was destroyed or the master key is another."""
    wanted = set(key_ids)
    rows = session.scalars(sa.select(SubjectKey).where(SubjectKey.id.in_(wanted))) if wanted else ()
    found = {row.id: row.wrapped_key for row in rows}
    return unwrapped(vault, {key_id: found.get(key_id) for key_id in wanted})


def unwrapped(vault: Vault, wrapped: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Plain keys of wrapped ones, by id; `VaultError` if one was destroyed or the master key is another."""
    if None in wrapped.values():
        raise VaultError("A subject key was destroyed: what it encrypted cannot be read any more.")
    return {key_id: vault.unwrap(key) for key_id, key in wrapped.items() if key is not None}


def destroy_unused(
    session: Session, key_ids: Iterable[str], *, actor: str, request_id: str | None = None
) -> int:
    """Destroy the keys under which no ciphertext is left; each one is an event. Returns how many."""
    destroyed = 0
    for key_id in sorted(set(key_ids)):
        if _in_use(session, key_id):
            continue
        gone = sa.update(SubjectKey).where(SubjectKey.id == key_id, SubjectKey.destroyed_at.is_(None))
        if changed(session, gone.values(wrapped_key=None, destroyed_at=clocks.now())):
            events.append(session, "key.destroyed", actor=actor, request_id=request_id, body={"key": key_id})
            destroyed += 1
    erases(session)
    return destroyed


def _in_use(session: Session, key_id: str) -> bool:
    ledger = sa.select(LedgerEntry.fact_id).join(Fact, Fact.id == LedgerEntry.fact_id)
    queries = (
        sa.select(Fact.id).where(Fact.subject_key_id == key_id, Fact.ciphertext.is_not(None)),
        ledger.where(Fact.subject_key_id == key_id),
        sa.select(RequestFact.id).where(
            RequestFact.subject_key_id == key_id, RequestFact.ciphertext.is_not(None)
        ),
        sa.select(AuditRun.id).where(AuditRun.subject_key_id == key_id, AuditRun.state == "running"),
    )
    return any(session.scalars(query.limit(1)).first() is not None for query in queries)
