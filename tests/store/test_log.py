"""The event log is one chain, whoever writes, on SQLite and on Postgres; and its times never run backwards."""

from __future__ import annotations

import hashlib
import hmac
import json
import multiprocessing
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from audit import merkle
from store import events, log
from store.database import Database
from store.models import Event, LogHead

WRITERS = 3
TURNS = 15


def chain(database: Database) -> list[Event]:
    with database.session(read_only=True) as session:
        return events.list_events(session, limit=10_000)


def assert_one_chain(database: Database, size: int) -> None:
    found = chain(database)
    assert [event.seq for event in found] == list(range(1, size + 1))
    previous = log.NO_EVENT
    for event in found:
        assert event.hash == merkle.leaf_hash(event.record)
        said = json.loads(event.record)
        assert bytes.fromhex(said["prev"]) == event.prev_hash == previous
        assert said["details"] == hmac.new(event.salt, event.details, hashlib.sha256).hexdigest()
        assert (said["seq"], said["kind"], said["request"]) == (event.seq, event.kind, event.request_id)
        previous = event.hash
    with database.session(read_only=True) as session:
        head = session.get_one(LogHead, 1)
    assert (head.size, head.hash) == (size, previous)


def test_every_event_names_the_one_before_it(database: Database) -> None:
    for number in range(3):
        with database.session() as session:
            events.append(session, "first", actor="me", body={"number": number})
            events.append(session, "second", actor="you", body={"yes": True})
    assert_one_chain(database, 6)
    [first, second, *_] = chain(database)
    assert (first.actor, first.body, second.body) == ("me", {"number": 0}, {"yes": True})


def test_a_transaction_that_fails_leaves_no_gap(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(database)
    with database.session() as session:
        events.append(session, "first", actor="me")
    assert_one_chain(database, 1)


def _write_and_fail(database: Database) -> None:
    with database.session() as session:
        events.append(session, "never", actor="me")
        log.settle(session)
        raise ZeroDivisionError


def test_an_event_is_readable_in_its_own_transaction(database: Database) -> None:
    with database.session() as session:
        events.append(session, "first", actor="me")
        assert [event.kind for event in events.list_events(session)] == ["first"]
        made = log.append_now(session, events.waiting("second", actor="me"))
        assert made.seq == 2
    assert_one_chain(database, 2)


def test_equal_details_have_unequal_commitments(database: Database) -> None:
    with database.session() as session:
        events.append(session, "same", actor="me", body={"code": "x"})
        events.append(session, "same", actor="me", body={"code": "x"})
    one, other = (json.loads(event.record)["details"] for event in chain(database))
    assert one != other


def test_a_clock_that_is_set_back_dates_nothing_back(database: Database) -> None:
    start = datetime(2026, 11, 24, 12, tzinfo=UTC)
    for moment in (start, start - timedelta(days=400), start + timedelta(seconds=1)):
        with time_machine.travel(moment, tick=False), database.session() as session:
            events.append(session, "tick", actor="me")
    assert [event.at for event in chain(database)] == [start, start, start + timedelta(seconds=1)]


def test_a_second_event_with_the_same_predecessor_is_refused(database: Database) -> None:
    with database.session() as session:
        events.append(session, "one", actor="me")
    [first] = chain(database)
    values = {
        name: getattr(first, name) for name in ("kind", "record", "details", "salt", "prev_hash", "hash")
    }
    with pytest.raises(sa.exc.IntegrityError), database.session() as session:
        session.execute(sa.insert(Event).values(seq=2, **values))


def test_a_lost_head_is_an_error_and_no_new_beginning(database: Database) -> None:
    from store.errors import DatabaseUnusable

    with database.session() as session:
        session.execute(sa.delete(LogHead))
    with pytest.raises(DatabaseUnusable, match="head"), database.session() as session:
        events.append(session, "one", actor="me")


def test_processes_that_write_at_once_make_one_chain(database: Database) -> None:
    context = multiprocessing.get_context("spawn")
    url = database.engine.url.render_as_string(hide_password=False)
    writers = [context.Process(target=_write, args=(url, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    assert_one_chain(database, WRITERS * TURNS)
    said = Counter(event.actor for event in chain(database))
    assert said == {f"process{number}": TURNS for number in range(WRITERS)}


def _write(url: str, number: int) -> None:
    database = Database(url)
    for turn in range(TURNS):
        with database.session() as session:
            session.execute(sa.select(sa.func.count()).select_from(Event))  # a snapshot of the past
            events.append(session, "turn", actor=f"process{number}", body={"turn": turn})
            if turn % 3 == 0:
                log.settle(session)
    database.close()
