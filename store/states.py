"""The request state machine, as data, and the one function that moves a request through it.

received -> approved -> applying -> auditing -> completed
   |            |           \\___________/ |
   denied       cancelled       failed    residual      (failed, residual: a human decides)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks, events
from store.database import changed
from store.errors import (
    AlreadyApplied,
    IllegalTransition,
    InvalidInput,
    ReasonRequired,
    StaleVersion,
    UnknownRequest,
)
from store.models import Request

STATES = (
    "received",
    "approved",
    "denied",
    "cancelled",
    "applying",
    "auditing",
    "completed",
    "residual",
    "failed",
)
EVENTS = (
    "approve", "deny", "cancel", "start", "applied", "audited_clean", "audited_leaking", "stop_audit",
    "give_up", "retry", "accept",
)  # fmt: skip
TRANSITIONS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("received", "approve"): "approved",
        ("received", "deny"): "denied",
        ("received", "cancel"): "cancelled",
        ("approved", "cancel"): "cancelled",
        ("approved", "start"): "applying",
        ("approved", "give_up"): "failed",
        ("applying", "applied"): "auditing",
        ("applying", "give_up"): "failed",
        ("auditing", "audited_clean"): "completed",
        ("auditing", "audited_leaking"): "residual",
        ("auditing", "stop_audit"): "residual",  # applied and not undone: a person decides what follows
        ("auditing", "give_up"): "failed",
        ("failed", "retry"): "approved",
        ("failed", "cancel"): "cancelled",
        ("residual", "retry"): "approved",
        ("residual", "accept"): "completed",
    }
)
TERMINAL = frozenset({"denied", "cancelled", "completed"})
UNDERWAY = frozenset({"approved", "applying", "auditing"})
NEEDS_REASON = frozenset({"deny", "accept"})
MAX_REASON_CHARS = 2000


def transition(
    session: Session,
    request_id: str,
    event: str,
    *,
    actor: str,
    reason: str | None = None,
    expected_version: int | None = None,
) -> Request:
    """Move a request by compare-and-set on state and row version, and append the event, in this transaction.

    `UnknownRequest`, `IllegalTransition`, `AlreadyApplied` (cancel), `StaleVersion` (somebody was faster, or
    `expected_version` is not the row's), `ReasonRequired` (deny and accept).
    """
    reason = _clean_reason(event, reason)
    row = _read(session, request_id)
    if expected_version is not None and row.row_version != expected_version:
        raise StaleVersion("The request was changed since you opened it. Look at it again.")
    before, target = row.state, _target(row.state, event)
    if event == "cancel" and was_applied(session, request_id):
        raise AlreadyApplied(
            "This request has changed the memory, which cannot be undone. Let the audit run, or stop it and accept "
            "with a reason."
        )
    update = (
        sa.update(Request)
        .where(Request.id == request_id, Request.state == before, Request.row_version == row.row_version)
        .values(state=target, row_version=row.row_version + 1, **_stamps(event, target, actor, reason))
    )
    if changed(session, update) != 1:
        _target(_read(session, request_id).state, event)
        raise StaleVersion("The request was changed by somebody else at the same moment. Look at it again.")
    body = {"from": before, "to": target}
    events.append(session, f"request.{event}", actor=actor, request_id=request_id, body=body)
    return _read(session, request_id)


def was_applied(session: Session, request_id: str) -> bool:
    """Whether the request ever changed the memory, in whatever state it is now."""
    return events.happened(session, request_id, "request.applied")


def was_accepted(session: Session, request_id: str) -> bool:
    """Whether the request was completed by somebody who accepted its leak, not by a clean audit."""
    ends = {"request.accept", "request.audited_clean"}
    return events.last_kind(session, request_id, ends) == "request.accept"


def allowed_events(session: Session, request: Request) -> list[str]:
    """The events that the request allows now."""
    allowed = [event for event in EVENTS if (request.state, event) in TRANSITIONS]
    if "cancel" in allowed and was_applied(session, request.id):
        allowed.remove("cancel")
    return allowed


def _target(state: str, event: str) -> str:
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def _read(session: Session, request_id: str) -> Request:
    query = sa.select(Request).where(Request.id == request_id).execution_options(populate_existing=True)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise UnknownRequest("There is no request with this id.")
    return row


def _clean_reason(event: str, reason: str | None) -> str | None:
    clean = (reason or "").strip()
    if event in NEEDS_REASON and not clean:
        raise ReasonRequired("This decision needs a reason; the person concerned may read it.")
    if len(clean) > MAX_REASON_CHARS:
        raise InvalidInput(f"The reason is longer than {MAX_REASON_CHARS} characters.", field="reason")
    return clean or None


def _stamps(event: str, target: str, actor: str, reason: str | None) -> dict[str, Any]:
    at: datetime = clocks.now()
    stamps: dict[str, Any] = {}
    if event in {"approve", "deny", "accept"}:
        stamps |= {"decided_at": at, "decided_by": actor}
    if target in TERMINAL:
        stamps["completed_at"] = at
    if reason is not None or event == "retry":
        stamps["reason"] = reason
    return stamps
