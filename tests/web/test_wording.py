"""The words: due dates, steps, and one label for every state, event and scope that the store knows."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from audit import certificate
from store import people
from store.audits import RunEnd
from store.models import Event, Job, Request
from store.states import EVENTS, STATES
from web import timeline, wording
from web.pages.queue import VIEWS
from workers.certificate import REFUSED

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
COMPUTED = {  # how the code spells the kinds that are no constants: what they can be
    "f'request.{event}'": [f"request.{event}" for event in EVENTS],
    "f'audit.{state}'": [f"audit.{state}" for state in get_args(RunEnd)],
    "REFUSED": [REFUSED],
    "certificate.ENTRY_KIND": [certificate.ENTRY_KIND],
}


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


def test_every_state_is_in_one_view_of_the_queue() -> None:
    seen = [state for view in ("decide", "working", "attention", "closed") for state in VIEWS[view][1]]
    assert sorted(seen) == sorted(STATES)
    assert set(VIEWS["open"][1]) == set(STATES) - set(VIEWS["closed"][1])


def kinds_written() -> set[str]:
    """The kind of every event of a request, from the calls that write them."""
    kinds = set()
    for path in (path for room in ("store", "workers") for path in (ROOT / room).rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or "request_id" not in {word.arg for word in call.keywords}:
                continue
            if (called := ast.unparse(call.func)) in {"events.append", "events.waiting"}:
                kind = call.args[called == "events.append"]
                constant = (kind.value,) if isinstance(kind, ast.Constant) else ()
                kinds.update(constant or COMPUTED[ast.unparse(kind)])
    return kinds


def test_every_event_of_a_request_has_its_words_or_is_hidden() -> None:
    written = kinds_written()
    assert len(written) >= 30
    assert timeline.WORDS.keys() | timeline.HIDDEN <= written
    for kind in written - timeline.HIDDEN:
        text, _ = timeline._words(Event(kind=kind, details=b'{"body": {}}'))
        assert "." not in text
        assert text != kind.replace(".", ": ").replace("_", " ").capitalize(), kind


def test_an_alert_about_a_fact_that_is_there_again_says_what_to_do() -> None:
    told = Event(kind="recheck.alert", details=b'{"body": {"verdict": "fail", "restated": 1}}')
    assert "submit a new request" in timeline._words(told)[0]
    leaked = Event(kind="recheck.alert", details=b'{"body": {"verdict": "fail", "restated": 0}}')
    assert timeline._words(leaked) == timeline.WORDS["recheck.alert"]
    crashed = Event(kind="recheck.alert", details=b'{"body": {"verdict": "unfinished", "restated": 0}}')
    assert "not finished" in timeline._words(crashed)[0]


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


def test_the_right_to_decide_says_that_it_reads_and_destroys_texts() -> None:
    assert {"stop", "read", "destroy"} <= set(wording.SCOPES["requests:decide"].split())
