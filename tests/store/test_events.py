"""Events hold words and numbers, never texts with structure, and come back in order."""

from typing import Any

import pytest

from store import events
from store.database import Database
from store.errors import EventNotAllowed


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
