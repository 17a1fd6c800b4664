"""The event log: what happened to a request, a bank or a key; append-only and free of personal data."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks
from store.errors import EventNotAllowed
from store.models import Event

EventBody = Mapping[str, str | int | bool]


def append(
    session: Session,
    kind: str,
    *,
    actor: str,
    request_id: str | None = None,
    body: EventBody | None = None,
) -> Event:
    """Add an event to the current transaction. Bodies hold ids, numbers and fixed words only."""
    values = dict(body or {})
    if not all(isinstance(value, str | int | bool) for value in values.values()):
        raise EventNotAllowed("An event body may hold only str, int and bool values.")
    event = Event(request_id=request_id, kind=kind, actor=actor, body=values, at=clocks.now())
    session.add(event)
    session.flush()
    return event


def list_events(
    session: Session, *, request_id: str | None = None, after: int = 0, limit: int = 100
) -> list[Event]:
    """Events in the order they happened, from `seq` > after."""
    query = sa.select(Event).where(Event.seq > after).order_by(Event.seq).limit(limit)
    if request_id is not None:
        query = query.where(Event.request_id == request_id)
    return list(session.scalars(query))
