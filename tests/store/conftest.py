"""A migrated database and a vault for every test of the store.

A test that asks for `database` runs twice: on SQLite, and on Postgres where a server answers (`-m "not
services"` leaves the second out). `sqlite_database` is for what only SQLite has.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from store.database import Database
from store.models import Base, LogHead
from store.vault import Vault
from tests.postgres import throwaway_database

MASTER_KEY = bytes(range(32))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One migrated, empty database file, copied for every test."""
    path = tmp_path_factory.mktemp("template") / "unwrite.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.scrub()
    database.close()
    return path


@pytest.fixture
def sqlite_database(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    path = tmp_path / "unwrite.db"
    shutil.copy(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    event.listen(database.engine, "connect", _without_fsync)
    yield database
    database.close()


def _without_fsync(connection: sqlite3.Connection, _record: object) -> None:
    """Tests do not have to survive a power cut."""
    connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture(scope="session")
def migrated_server() -> Iterator[Database]:
    """One migrated Postgres database, emptied before every test."""
    with throwaway_database() as url:
        database = Database(url)
        database.migrate()
        yield database
        database.close()


@pytest.fixture
def postgres_database(migrated_server: Database) -> Database:
    with migrated_server.engine.begin() as connection:
        # Without triggers and foreign keys: the event log would refuse, and the order would matter.
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for name in Base.metadata.tables:
            connection.execute(sa.text(f'DELETE FROM "{name}"'))
        connection.execute(sa.insert(LogHead).values(id=1, size=0, hash=bytes(32)))
    return migrated_server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture
def vault() -> Vault:
    return Vault(MASTER_KEY)
