"""A POST sent twice is done once and answered twice the same."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from store import clocks, idempotency, ledger
from store.database import Database
from store.errors import IdempotencyConflict, InvalidInput
from store.idempotency import StoredResponse
from store.models import IdempotencyKey
from store.vault import Vault
from tests.store.conftest import MASTER_KEY

VAULT = Vault(MASTER_KEY)
PLACE = {"key": "k-1", "user_id": "usr_a", "route": "POST /requests"}


def answer(database: Database, body: bytes = b"{}", **place: str) -> StoredResponse | None:
    with database.session() as session:
        stored = idempotency.begin(session, VAULT, **(PLACE | place), body=body)
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
        idempotency.begin(session, VAULT, **PLACE, body=b"{}")
        ledger.bank(session, "half-done")
        raise RuntimeError
    assert answer(database) is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_length(database: Database, key: str) -> None:
    with pytest.raises(InvalidInput):
        answer(database, key=key)


def test_a_body_cannot_be_guessed_from_what_is_kept(database: Database) -> None:
    body = b'{"prompt": "The mother tongue of Ana is", "answer": "Slovene"}'
    answer(database, body)
    with database.session(read_only=True) as session:
        kept = session.scalars(sa.select(IdempotencyKey.body_hash)).one()
    assert kept != hashlib.sha256(body).hexdigest()
    assert kept == VAULT.body_digest(body) != Vault(bytes(32)).body_digest(body)


def test_keys_are_remembered_for_a_day(database: Database) -> None:
    answer(database)
    with database.session() as session:
        assert idempotency.purge(session, clocks.now() + timedelta(hours=23)) == 0
        assert idempotency.purge(session, clocks.now() + timedelta(hours=25)) == 1
    assert answer(database, b"new body") is None
