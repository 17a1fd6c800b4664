"""A POST sent twice is done once and answered twice the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from store import clocks, idempotency, ledger
from store.database import Database
from store.errors import IdempotencyConflict, InvalidInput
from store.idempotency import StoredResponse

PLACE = {"key": "k-1", "user_id": "usr_a", "route": "POST /requests"}


def answer(database: Database, body: bytes = b"{}", **place: str) -> StoredResponse | None:
    with database.session() as session:
        stored = idempotency.begin(session, **(PLACE | place), body=body)
        if stored is None:
            idempotency.complete(session, **(PLACE | place), status=201, body=b"req_a")
        return stored


def test_the_second_time_gets_the_first_answer(database: Database) -> None:
    assert answer(database) is None
    assert answer(database) == StoredResponse(201, b"req_a")


def test_another_body_under_the_same_key_is_a_conflict(database: Database) -> None:
    answer(database)
    with pytest.raises(IdempotencyConflict):
        answer(database, b'{"other": 1}')


@pytest.mark.parametrize("other", [{"key": "k-2"}, {"user_id": "usr_b"}, {"route": "POST /facts"}])
def test_keys_belong_to_a_user_and_a_route(database: Database, other: dict[str, str]) -> None:
    answer(database)
    assert answer(database, b'{"other": 1}', **other) is None


def test_work_that_fails_frees_the_key(database: Database) -> None:
    with pytest.raises(RuntimeError), database.session() as session:  # noqa: PT012
        idempotency.begin(session, **PLACE, body=b"{}")
        ledger.bank(session, "half-done")
        raise RuntimeError
    assert answer(database) is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_length(database: Database, key: str) -> None:
    with pytest.raises(InvalidInput):
        answer(database, key=key)


def test_old_keys_are_purged(database: Database) -> None:
    answer(database)
    with database.session() as session:
        assert idempotency.purge(session, clocks.now() - timedelta(hours=1)) == 0
        assert idempotency.purge(session, clocks.now() + timedelta(hours=1)) == 1
    assert answer(database, b"new body") is None
