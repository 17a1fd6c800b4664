"""The event log: what happened to a request, a bank or a key; append-only and free of personal data."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import log
from store.errors import EventNotAllowed
from store.models import Event
from store.pages import Page, decode_place, encode_place, page_size

EventBody = Mapping[str, str | int | bool]


def append(
    session: Session,
    kind: str,
    *,
    actor: str,
    request_id: str | None = None,
    body: EventBody | None = None,
) -> None:
    """Add an event at the end of the current transaction. Bodies hold ids, numbers and fixed words only."""
    log.append(session, waiting(kind, actor=actor, request_id=request_id, body=body))


def waiting(
    kind: str, *, actor: str, request_id: str | None = None, body: EventBody | None = None
) -> log.Waiting:
    """An event that may go into the log; EventNotAllowed when its body holds anything else."""
    values = dict(body or {})
    if not all(isinstance(value, str | int | bool) for value in values.values()):
        raise EventNotAllowed("An event body may hold only str, int and bool values.")
    return log.Waiting(kind, actor, request_id, values)


def happened(session: Session, request_id: str, kind: str) -> bool:
    """Whether an earlier transaction recorded an event of this kind for the request."""
    query = sa.select(Event.seq).where(Event.request_id == request_id, Event.kind == kind)
    return session.scalars(query.limit(1)).first() is not None


def last_kind(session: Session, request_id: str, kinds: Collection[str]) -> str | None:
    """Which of these kinds an earlier transaction recorded last for the request."""
    query = sa.select(Event.kind).where(Event.request_id == request_id, Event.kind.in_(kinds))
    return session.scalars(query.order_by(Event.seq.desc()).limit(1)).first()


def newest_of(session: Session, request_id: str, limit: int) -> list[Event]:
    """The newest events of a request, in the order they happened."""
    log.settle(session)
    query = sa.select(Event).where(Event.request_id == request_id).order_by(Event.seq.desc())
    return list(reversed(session.scalars(query.limit(limit)).all()))


def page_of(session: Session, request_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Event]:
    """All events of a request in the order they happened, a page at a time; `InvalidInput` for a bad cursor."""
    after, size = 0 if cursor is None else decode_place(cursor), page_size(limit)
    found = list_events(session, request_id=request_id, after=after, limit=size + 1)
    if len(found) <= size:
        return Page(tuple(found), None)
    return Page(tuple(found[:size]), encode_place(found[size - 1].seq))


def list_events(
    session: Session, *, request_id: str | None = None, after: int = 0, limit: int = 100
) -> list[Event]:
    """Events in the order they happened, from `seq` > after."""
    log.settle(session)
    query = sa.select(Event).where(Event.seq > after).order_by(Event.seq).limit(limit)
    if request_id is not None:
        query = query.where(Event.request_id == request_id)
    return list(session.scalars(query))
