"""Reading never waits for a writer: neither the look-up of who is calling, nor the note that they called."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from apiflask import APIFlask
from flask.testing import FlaskClient

from store.database import Database
from store.models import ApiToken

Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def file(tmp_path: Path, database: Database) -> Path:
    return tmp_path / "unwrite.db"


@contextmanager
def writer(file: Path) -> Iterator[None]:
    """Somebody holds the write lock all the time."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def last_use(database: Database) -> datetime | None:
    with database.session(read_only=True) as session:
        return session.scalars(sa.select(ApiToken.last_used_at)).one()


def test_a_call_does_not_wait_for_a_writer(
    app: APIFlask, bearer: Bearer, database: Database, file: Path
) -> None:
    headers = bearer("reviewer")
    with writer(file):
        begun = time.monotonic()
        answer = app.test_client().get("/api/v1/requests", headers=headers)
        assert time.monotonic() - begun < 2
    assert answer.status_code == 200
    assert last_use(database) is None
    app.test_client().get("/api/v1/requests", headers=headers)
    assert last_use(database) is not None


def test_a_page_does_not_wait_for_a_writer(reviewer: FlaskClient, file: Path) -> None:
    with writer(file):
        begun = time.monotonic()
        assert reviewer.get("/requests").status_code == 200
        assert time.monotonic() - begun < 2


def test_use_of_a_token_is_noted_once_a_minute(app: APIFlask, bearer: Bearer, database: Database) -> None:
    headers = bearer("reviewer")
    app.test_client().get("/api/v1/requests", headers=headers)
    noted = last_use(database)
    app.test_client().get("/api/v1/requests", headers=headers)
    assert last_use(database) == noted is not None
