"""Events hold words and numbers, never texts with structure, and come back in order."""

from typing import Any

import pytest

from store import events
from store.database import Database
from store.errors import EventNotAllowed, InvalidInput
from store.vault import Vault
from tests.store.scenes import CLEO, submitted


def test_events_come_back_in_order_and_from_where_one_left_off(database: Database) -> None:
    with database.session() as session:
        for number in range(5):
            events.append(session, "count", actor="me", body={"number": number, "even": number % 2 == 0})
    with database.session(read_only=True) as session:
        first = events.list_events(session, limit=2)
        rest = events.list_events(session, after=first[-1].seq)
    assert [event.body["number"] for event in first + rest] == [0, 1, 2, 3, 4]
    assert rest[0].body["even"] is True


@pytest.mark.parametrize("value", [None, 1.5, ["a"], {"a": 1}, b"bytes"])
def test_a_body_holds_only_str_int_and_bool(database: Database, value: Any) -> None:
    with pytest.raises(EventNotAllowed), database.session() as session:
        events.append(session, "bad", actor="me", body={"value": value})


def test_a_request_tells_its_events_page_by_page_and_the_newest_alone(
    database: Database, vault: Vault
) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session() as session:
        for number in range(6):
            events.append(session, "count", actor="me", request_id=request.id, body={"number": number})
            events.append(session, "other", actor="me")
    with database.session(read_only=True) as session:
        told, cursor = [], None
        while not told or cursor is not None:
            page = events.page_of(session, request.id, limit=3, cursor=cursor)
            assert len(page.items) <= 3
            told, cursor = [*told, *page.items], page.next_cursor
        assert [event.body.get("number") for event in told] == [None, 0, 1, 2, 3, 4, 5]
        newest = events.newest_of(session, request.id, limit=2)
        assert [event.body["number"] for event in newest] == [4, 5]
        assert events.last_kind(session, request.id, {"count", "request.submit"}) == "count"
        assert events.last_kind(session, request.id, {"request.submit"}) == "request.submit"
        assert events.last_kind(session, request.id, {"request.deny"}) is None


@pytest.mark.parametrize("cursor", ["", "nonsense", "LTE", "MS41", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_is_no_place_in_the_log_is_refused(
    database: Database, vault: Vault, cursor: str
) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session(read_only=True) as session, pytest.raises(InvalidInput, match="first page"):
        events.page_of(session, request.id, cursor=cursor)
