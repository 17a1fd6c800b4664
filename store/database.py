"""The database: one SQLAlchemy engine, one transaction a session, SQLite and Postgres alike.

SQLite runs in WAL mode; a writing session opens with BEGIN IMMEDIATE, because upgrading a read transaction
fails at once and ignores the busy timeout. After a transaction that erased personal data the
files are scrubbed (VACUUM, WAL truncated), so that not even its ciphertext is left in them.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.orm import DeclarativeBase, Session

from store import log
from store.errors import DatabaseBusy, DatabaseUnusable, DiskFull, InvalidInput, StoreError

BUSY_TIMEOUT_S = 30.0
_SCRUB_WAIT_MS = 2000
_log = logging.getLogger("unwrite.store")
_READ_ONLY = "unwrite_read_only"
_ERASED = "unwrite_erased"
_AT_ONCE = "unwrite_at_once"


class Database:
    """A connection pool to one database; open sessions from it, from any number of threads and processes."""

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _prepare_file(parsed.database)
        arguments: dict[str, Any] = {"timeout": BUSY_TIMEOUT_S} if self.is_sqlite else {"connect_timeout": 10}
        # hide_parameters: SQLAlchemy would otherwise put bound values into exception messages.
        self.engine: Engine = sa.create_engine(
            parsed, hide_parameters=True, connect_args=arguments, pool_pre_ping=not self.is_sqlite
        )
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._readers = self.engine.execution_options(**{_READ_ONLY: True, "postgresql_readonly": True})
        self._hasty = self.engine.execution_options(**{_AT_ONCE: True})

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[Session]:
        """One transaction: commits at the end, rolls back on any exception.

        A read-only session never waits for a writer on SQLite and refuses to write on Postgres. Objects stay
        readable after the session is closed.
        """
        bind = self._readers if read_only else self.engine
        session = Session(bind, expire_on_commit=False, info={_READ_ONLY: read_only})
        with _typed_errors(), session, session.begin():
            yield session
            log.settle(session)
        if session.info.get(_ERASED):
            self._scrub_after_commit()

    def attempt(self, work: Callable[[Session], object]) -> bool:
        """Do `work` in a writing transaction that waits for no other one; False if it could not be had at once.

        For notes that may be missed: they append no event, and on Postgres skip rows that are locked.
        """
        try:
            with _typed_errors(), Session(self._hasty) as session, session.begin():
                work(session)
        except (StoreError, sa.exc.DBAPIError):
            return False
        return True

    def scrub(self) -> bool:
        """Make erased data physically gone from the SQLite files: VACUUM if a transaction erased something
        since the last time, then truncate the WAL. False if another process was in the way: call it again.

        Runs by itself after a transaction that erased something; a periodic call covers a reader that was in
        the way, or a process that died in between.
        """
        if not self.is_sqlite:
            return True
        with _typed_errors():
            raw = self.engine.raw_connection()
            try:
                return _scrub_sqlite(raw.cursor())
            finally:
                raw.close()

    def _scrub_after_commit(self) -> None:
        """The transaction is committed: nothing that goes wrong here may look as if it were not."""
        try:
            self.scrub()
        except (StoreError, sqlite3.Error) as error:
            _log.warning("scrub postponed: %s", type(error).__name__)

    def migrate(self) -> None:
        """Bring the schema to the newest revision; several processes may call it at once."""
        from store.schema import upgrade

        with _typed_errors():
            upgrade(self.engine)

    def is_current(self) -> bool:
        """Whether the schema is at the newest revision."""
        from store.schema import is_current

        with _typed_errors():
            return is_current(self._readers)

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def is_read_only(session: Session) -> bool:
    """Whether this session was opened for reading only."""
    return bool(session.info.get(_READ_ONLY))


def erases(session: Session) -> None:
    """Say that this transaction removes personal data: after its commit the files are scrubbed."""
    if session.info.get(_ERASED) or session.get_bind().dialect.name != "sqlite":
        return
    session.info[_ERASED] = True
    count = int(session.connection().exec_driver_sql("PRAGMA user_version").scalar_one())
    session.connection().exec_driver_sql(f"PRAGMA user_version = {count + 1}")


def _parse(url: str) -> sa.URL:
    try:
        parsed = make_url(url)
    except sa.exc.ArgumentError:
        raise DatabaseUnusable(
            "The database URL cannot be read; use sqlite:///… or postgresql+psycopg://…."
        ) from None
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise DatabaseUnusable(
            "Unwrite keeps its data in SQLite (sqlite:///…) or Postgres (postgresql+psycopg://…)."
        )
    return parsed


def _prepare_file(name: str | None) -> None:
    if not name or name == ":memory:":
        raise DatabaseUnusable("SQLite in memory is not supported: several processes must see the same data.")
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"The folder for the database file cannot be made: {error.strerror}."
        ) from None
    if path.is_dir():
        raise DatabaseUnusable("The database path is a folder, not a file.")


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are opened by _begin_sqlite alone
    try:
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _translate(error) or error from None


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL once; the switch ignores the busy timeout, so a lost race is simply tried again."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _scrub_sqlite(cursor: Any) -> bool:
    """VACUUM because `secure_delete` misses copies that page splits leave behind. `user_version` counts
    erasing transactions since the last scrub: it survives a crash, and an erasure during this one is not
    lost.
    """
    cursor.execute(f"PRAGMA busy_timeout = {_SCRUB_WAIT_MS}")
    try:
        owed = _erasures(cursor)
        if owed:
            cursor.execute("VACUUM")
            _settle(cursor, owed)
        return not cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")


def _erasures(cursor: Any) -> int:
    return int(cursor.execute("PRAGMA user_version").fetchone()[0])


def _settle(cursor: Any, owed: int) -> None:
    cursor.execute("BEGIN IMMEDIATE")
    if _erasures(cursor) == owed:
        cursor.execute("PRAGMA user_version = 0")
    cursor.execute("COMMIT")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(_READ_ONLY):
        connection.exec_driver_sql("BEGIN")
    elif options.get(_AT_ONCE):
        _begin_at_once(connection)
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_at_once(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")


@contextmanager
def _typed_errors() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        typed = _translate(error.orig)
        if typed is None:
            raise
        raise typed from None
    except sqlite3.DatabaseError as error:
        raise _translate(error) or error from None


def _translate(error: BaseException | None) -> StoreError | None:
    said = str(error)
    if "file is not a database" in said:
        return DatabaseUnusable(
            "The file is not an SQLite database. Give the path of another file, or move this one."
        )
    if "malformed" in said:
        return DatabaseUnusable("The SQLite file is damaged. Restore it from a backup.")
    if "unable to open database file" in said or "readonly database" in said:
        return DatabaseUnusable(
            "The SQLite file cannot be opened for writing. Check its folder and permissions."
        )
    if "disk is full" in said or type(error).__name__ == "DiskFull":
        return DiskFull("The disk of the database is full. Make room; nothing that was committed is lost.")
    if "no such table" in said or type(error).__name__ == "UndefinedTable":
        return DatabaseUnusable(
            "The database has no Unwrite tables yet, or old ones: run the migrations first."
        )
    if "cannot contain NUL" in said:
        return InvalidInput("There is a NUL character in what you sent. Remove it.")
    if "database is locked" in said or type(error).__name__ == "DeadlockDetected":
        return DatabaseBusy("Another process held the database for too long. Try again.")
    if type(error).__name__ in {"OperationalError", "ConnectionTimeout"} and "connection" in said:
        return DatabaseUnusable("The database server cannot be reached, or refused the connection.")
    return None


def changed(session: Session, statement: sa.Update | sa.Delete) -> int:
    """Run an UPDATE or DELETE and say how many rows it hit: the building block of every compare-and-set."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(cast("sa.CursorResult[Any]", result).rowcount)


def insert_or_ignore(session: Session, model: type[DeclarativeBase], **values: Any) -> bool:
    """INSERT … ON CONFLICT DO NOTHING; True if the row is ours, False if one was there."""
    make = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgres_insert
    table = cast("sa.Table", model.__table__)
    statement = make(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return session.execute(statement).first() is not None
