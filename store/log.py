"""The event log's writer: every event is chained to the one before it, one transaction at a time.

    record   the bytes under the hash: JSON with seq, at, kind, request, prev (hash of the record before) and
             details (HMAC-SHA-256 of the details under the salt)
    details  JSON: who, and ids, numbers and fixed words
    hash     SHA-256(0x00 || record): the link of the chain and, at once, the leaf of the Merkle tree (RFC 6962)

Events wait in the session until its end; then the row `log_head` is locked, as the last lock of the transaction,
so that writers queue there and never deadlock. Two heads with the same predecessor cannot both be committed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks
from store.errors import DatabaseUnusable
from store.models import Event, LogHead

SALT_BYTES = 16
NO_EVENT = bytes(32)
_WAITING = "unwrite_waiting_events"


@dataclass(frozen=True)
class Waiting:
    """An event that was appended and has no place yet."""

    kind: str
    actor: str
    request_id: str | None
    body: Mapping[str, str | int | bool]


def append(session: Session, event: Waiting) -> None:
    """Put an event behind all others when the transaction ends."""
    session.info.setdefault(_WAITING, []).append(event)


def settle(session: Session) -> Event | None:
    """Give the waiting events their places; the last of them. Locks the log until the transaction ends."""
    waiting: list[Waiting] = session.info.pop(_WAITING, [])
    if not waiting:
        return None
    session.flush()
    head = lock(session)
    for event in waiting:
        made = _link(head, event)
        session.add(made)
        head.size, head.hash, head.at = made.seq, made.hash, made.at
    session.flush()
    return made


def append_now(session: Session, event: Waiting) -> Event:
    """Append and settle at once: for what must know its place. Keep it to the end of a transaction."""
    append(session, event)
    made = settle(session)
    assert made is not None
    return made


def lock(session: Session) -> LogHead:
    """The head of the log, held until the transaction ends."""
    head = session.get(LogHead, 1, with_for_update=True, populate_existing=True)
    if head is None:
        raise DatabaseUnusable("The event log has lost its head. Restore the database from a backup.")
    return head


def time(head: LogHead) -> datetime:
    """Now; never before the log's last entry, so that a clock that was set back cannot date anything back."""
    now = clocks.now()
    return now if head.at is None else max(now, head.at)


def hashes(session: Session, *, after: int = 0, limit: int | None = None) -> list[bytes]:
    """The leaf hashes of the events with `seq` > after, in order."""
    query = sa.select(Event.hash).where(Event.seq > after).order_by(Event.seq).limit(limit)
    return list(session.scalars(query))


def canonical(value: Mapping[str, Any]) -> bytes:
    """JSON in one spelling: sorted, compact, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _link(head: LogHead, event: Waiting) -> Event:
    details = canonical({"actor": event.actor, "body": dict(event.body)})
    salt = os.urandom(SALT_BYTES)
    record = canonical(
        {
            "at": time(head).isoformat(),
            "details": hmac.new(salt, details, hashlib.sha256).hexdigest(),
            "kind": event.kind,
            "prev": head.hash.hex(),
            "request": event.request_id,
            "seq": head.size + 1,
            "v": 1,
        }
    )
    return Event(
        seq=head.size + 1,
        request_id=event.request_id,
        kind=event.kind,
        record=record,
        details=details,
        salt=salt,
        prev_hash=head.hash,
        hash=hashlib.sha256(b"\x00" + record).digest(),
    )
