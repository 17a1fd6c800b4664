"""Idempotency keys: a POST that is sent twice is done once and answered twice the same.

`begin` and `complete` belong to the transaction of the work itself: if the work fails, the key is free again.
A second request with the same key waits (in the database) until the first has committed. Of a body only a keyed
digest is kept, because it may hold personal data; a key is remembered for a day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks
from store.database import changed, insert_or_ignore
from store.errors import IdempotencyConflict, InvalidInput
from store.models import IdempotencyKey
from store.vault import Vault

MAX_KEY_CHARS = 255
REMEMBERED = timedelta(hours=24)


@dataclass(frozen=True)
class StoredResponse:
    """The answer that was given the first time."""

    status: int
    body: bytes


def begin(
    session: Session, vault: Vault, *, key: str, user_id: str, route: str, body: bytes
) -> StoredResponse | None:
    """None: do the work, then call `complete`. Otherwise the answer of the first time; `IdempotencyConflict`
    if the key came with another body.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise InvalidInput(
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARS} characters.", field="Idempotency-Key"
        )
    key_hash, body_hash = _hash(user_id, route, key), vault.body_digest(body)
    ours = insert_or_ignore(
        session,
        IdempotencyKey,
        key_hash=key_hash,
        user_id=user_id,
        route=route,
        body_hash=body_hash,
        created_at=clocks.now(),
    )
    if ours:
        return None
    row = session.get_one(IdempotencyKey, key_hash, populate_existing=True)
    if row.body_hash != body_hash or row.response_status is None:
        raise IdempotencyConflict("This Idempotency-Key was used with another body. Use a fresh key.")
    return StoredResponse(row.response_status, row.response_body or b"")


def complete(session: Session, *, key: str, user_id: str, route: str, status: int, body: bytes) -> None:
    """Remember the answer; it must hold nothing about a subject beyond the reason of a decision."""
    row = sa.update(IdempotencyKey).where(IdempotencyKey.key_hash == _hash(user_id, route, key))
    changed(session, row.values(response_status=status, response_body=body))


def purge(session: Session, now: datetime) -> int:
    """Drop keys that were remembered long enough; returns how many."""
    return changed(session, sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < now - REMEMBERED))


def _hash(user_id: str, route: str, key: str) -> str:
    return hashlib.sha256("\x00".join((user_id, route, key)).encode()).hexdigest()
