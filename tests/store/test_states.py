"""Every (state, event) pair: what is in the table works and is recorded, everything else is refused."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa

from store import clocks, ledger, requests, states
from store.database import Database
from store.errors import (
    AlreadyApplied,
    IllegalTransition,
    InvalidInput,
    ReasonRequired,
    StaleVersion,
    UnknownRequest,
)
from store.models import Request

LEGAL = {
    "received": {"approve": "approved", "deny": "denied", "cancel": "cancelled"},
    "approved": {"start": "applying", "cancel": "cancelled", "give_up": "failed"},
    "applying": {"applied": "auditing", "give_up": "failed"},
    "auditing": {
        "audited_clean": "completed",
        "audited_leaking": "residual",
        "stop_audit": "residual",
        "give_up": "failed",
    },
    "failed": {"retry": "approved", "cancel": "cancelled"},
    "residual": {"retry": "approved", "accept": "completed"},
    "completed": {},
    "denied": {},
    "cancelled": {},
}


def in_state(database: Database, state: str) -> str:
    with database.session() as session:
        bank = ledger.bank(session, "default")
        at = clocks.now()
        row = Request(
            id=f"req_{state}",
            bank_id=bank.id,
            kind="forget",
            regulation="gdpr",
            state=state,
            reference="",
            received_at=at,
            due_at=at,
            submitted_by="requester",
            row_version=7,
        )
        session.add(row)
    return row.id


def test_the_table_is_the_one_that_was_designed() -> None:
    flat = {(state, event): target for state, events in LEGAL.items() for event, target in events.items()}
    assert dict(states.TRANSITIONS) == flat
    assert set(states.STATES) == set(LEGAL)
    assert set(states.EVENTS) == {event for _, event in flat}
    assert {state for state, events in LEGAL.items() if not events} == states.TERMINAL


@pytest.mark.parametrize(("state", "event"), list(itertools.product(states.STATES, states.EVENTS)))
def test_every_pair(database: Database, state: str, event: str) -> None:
    request_id = in_state(database, state)
    target = LEGAL[state].get(event)
    if target is None:
        with pytest.raises(IllegalTransition) as refusal, database.session() as session:
            states.transition(session, request_id, event, actor="me", reason="why")
        assert (refusal.value.state, refusal.value.event) == (state, event)
    else:
        with database.session() as session:
            states.transition(session, request_id, event, actor="me", reason="why")
    with database.session(read_only=True) as session:
        row = requests.get(session, request_id)
        assert states.allowed_events(session, row) == [e for e in states.EVENTS if e in LEGAL[row.state]]
        kinds = [(e.kind, e.actor, e.body) for e in requests.events_of(session, request_id)]
    assert row.state == (target or state)
    assert row.row_version == (8 if target else 7)
    assert kinds == ([(f"request.{event}", "me", {"from": state, "to": target})] if target else [])
    assert (row.completed_at is not None) == (target in states.TERMINAL)
    assert (row.decided_by == "me") == (target is not None and event in {"approve", "deny", "accept"})


def test_what_was_applied_is_never_cancelled(database: Database) -> None:
    request_id = in_state(database, "applying")
    for event in ("applied", "audited_leaking", "retry"):
        with database.session() as session:
            row = states.transition(session, request_id, event, actor="me")
    with database.session() as session:
        assert row.state == "approved"
        assert "cancel" not in states.allowed_events(session, row)
        with pytest.raises(AlreadyApplied):
            states.transition(session, request_id, "cancel", actor="me")
        assert requests.get(session, request_id).state == "approved"


def test_an_unknown_event_is_illegal_and_an_unknown_request_unknown(database: Database) -> None:
    request_id = in_state(database, "received")
    with pytest.raises(IllegalTransition), database.session() as session:
        states.transition(session, request_id, "explode", actor="me")
    with pytest.raises(UnknownRequest), database.session() as session:
        states.transition(session, "req_none", "approve", actor="me")


@pytest.mark.parametrize(("state", "event"), [("received", "deny"), ("residual", "accept")])
@pytest.mark.parametrize("reason", [None, "", "  \n"])
def test_deny_and_accept_need_a_reason(
    database: Database, state: str, event: str, reason: str | None
) -> None:
    request_id = in_state(database, state)
    with pytest.raises(ReasonRequired), database.session() as session:
        states.transition(session, request_id, event, actor="me", reason=reason)
    with database.session() as session:
        assert states.transition(session, request_id, event, actor="me", reason=" so ").reason == "so"


def test_a_reason_has_a_limit_and_is_not_repeated(database: Database) -> None:
    with pytest.raises(InvalidInput) as refusal, database.session() as session:
        states.transition(session, in_state(database, "received"), "deny", actor="me", reason="canary " * 999)
    assert "canary" not in str(refusal.value)


def test_a_version_that_is_not_the_row_s_is_stale(database: Database) -> None:
    request_id = in_state(database, "received")
    with pytest.raises(StaleVersion), database.session() as session:
        states.transition(session, request_id, "approve", actor="me", expected_version=6)
    with database.session() as session:
        row = states.transition(session, request_id, "approve", actor="me", expected_version=7)
    assert row.row_version == 8


def test_a_row_that_changed_under_the_transition_is_not_overwritten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and the compare-and-set somebody else denies the request."""
    request_id = in_state(database, "received")
    real = states._stamps

    def meddle(*arguments: object) -> dict[str, object]:
        session.execute(sa.update(Request).values(state="denied", row_version=8))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(states, "_stamps", meddle)
    with pytest.raises(IllegalTransition), database.session() as session:
        states.transition(session, request_id, "approve", actor="me")
    monkeypatch.setattr(
        states, "_stamps", lambda *a: session.execute(sa.update(Request).values(row_version=9)) and {}
    )
    with pytest.raises(StaleVersion), database.session() as session:
        states.transition(session, request_id, "approve", actor="me")


def test_a_retry_forgets_the_old_reason(database: Database) -> None:
    request_id = in_state(database, "applying")
    with database.session() as session:
        states.transition(session, request_id, "give_up", actor="worker", reason="OutOfMemoryError")
        assert states.transition(session, request_id, "retry", actor="me").reason is None
