"""The words: due dates, steps, and one label for every state, event and scope that the store knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from store import people
from store.models import Job, Request
from store.states import STATES
from web import timeline, wording

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def a_request(state: str = "received", days: int = 0, **more: object) -> Request:
    return Request(state=state, due_at=NOW + timedelta(days=days), **more)


@pytest.mark.parametrize(
    ("days", "text", "tone"),
    [
        (-3, "Overdue by 3 days", "overdue"),
        (-1, "Overdue by 1 day", "overdue"),
        (0, "Due today", "overdue"),
        (1, "1 day left", "soon"),
        (7, "7 days left", "soon"),
        (8, "8 days left", "calm"),
    ],
)
def test_due_dates_read_like_a_person_would_say_them(days: int, text: str, tone: str) -> None:
    due = wording.due(a_request(days=days), NOW)
    assert (due.text, due.tone) == (text, tone)


def test_answered_requests_say_whether_they_were_in_time() -> None:
    in_time = a_request("completed", completed_at=NOW - timedelta(days=1))
    late = a_request("denied", completed_at=NOW + timedelta(days=2))
    assert wording.due(in_time, NOW).text == "In time"
    assert wording.due(late, NOW).text == "2 days late"


def test_every_state_has_its_label_and_its_place() -> None:
    for state in STATES:
        assert state in wording.STATES
        assert state in timeline.STANDING
        assert sum(step.current for step in timeline.steps_of(a_request(state))) == (state != "completed")


def test_every_scope_and_role_is_explained() -> None:
    assert set(wording.SCOPES) == set(people.SCOPES)
    assert set(wording.ROLES) == set(people.ROLES)


@pytest.mark.parametrize(
    ("state", "step", "attempts", "text"),
    [
        ("queued", "", 0, "Waiting for a worker"),
        ("queued", "after", 1, "Interrupted; waiting for a worker to continue"),
        ("running", "after", 1, "Attacking the model after the change"),
        ("running", "after-2", 1, "Attacking the model after the change, round 2"),
        ("running", "polish_brass", 1, "Polish brass"),
        ("running", "", 1, "Starting"),
        ("failed", "after", 3, "Stopped after too many attempts"),
    ],
)
def test_steps_are_told_in_words(state: str, step: str, attempts: int, text: str) -> None:
    assert wording.step_text(Job(state=state, step=step, attempts=attempts)) == text
