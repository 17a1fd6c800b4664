"""One transaction a session, several processes at once, and errors that say what is wrong with the file."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import clocks, events, ledger
from store.database import Database
from store.errors import DatabaseBusy, DatabaseUnusable, StoreError
from store.models import Bank, Event


def test_a_session_commits_at_its_end_and_rolls_back_on_any_exception(sqlite_database: Database) -> None:
    with sqlite_database.session() as session:
        ledger.bank(session, "kept")
    with pytest.raises(RuntimeError), sqlite_database.session() as session:  # noqa: PT012
        ledger.bank(session, "lost")
        raise RuntimeError
    with sqlite_database.session(read_only=True) as session:
        assert session.scalars(sa.select(Bank.name)).all() == ["kept"]


def test_rows_stay_readable_after_their_session(sqlite_database: Database) -> None:
    with sqlite_database.session() as session:
        bank = ledger.bank(session, "default")
    assert (bank.name, bank.revision) == ("default", 0)
    assert bank.updated_at.utcoffset() is not None


def test_sqlite_runs_in_wal_with_foreign_keys_secure_delete_and_full_sync(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/new.db").session() as session:
        wanted = {
            "journal_mode": "wal",
            "foreign_keys": 1,
            "secure_delete": 1,
            "synchronous": 2,
            "busy_timeout": 30000,
        }
        assert {name: session.scalar(sa.text(f"PRAGMA {name}")) for name in wanted} == wanted


def test_a_writer_waits_for_a_writer_even_if_it_reads_first(sqlite_database: Database) -> None:
    """A deferred BEGIN would fail at once here: its snapshot is old when it starts to write."""
    reading, go = threading.Event(), threading.Event()

    def slow() -> None:
        with sqlite_database.session() as session:
            ledger.bank(session, "slow")
            reading.set()
            go.wait(5)

    thread = threading.Thread(target=slow)
    thread.start()
    reading.wait(5)
    threading.Timer(0.2, go.set).start()
    with sqlite_database.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Bank)) == 1
        ledger.bank(session, "patient")
    thread.join()


def test_a_reader_does_not_wait_for_a_writer(sqlite_database: Database) -> None:
    with sqlite_database.session() as writer:
        ledger.bank(writer, "unseen")
        with sqlite_database.session(read_only=True) as reader:
            assert reader.scalars(sa.select(Bank)).all() == []


def test_an_attempt_is_given_up_at_once_and_leaves_others_patient(sqlite_database: Database) -> None:
    with sqlite_database.session() as writer:
        ledger.bank(writer, "held")
        begun = time.monotonic()
        assert not sqlite_database.attempt(lambda session: ledger.bank(session, "note"))
        assert time.monotonic() - begun < 2
    assert sqlite_database.attempt(lambda session: ledger.bank(session, "note"))
    with sqlite_database.session() as session:
        assert session.scalar(sa.text("PRAGMA busy_timeout")) == 30000
        assert set(session.scalars(sa.select(Bank.name))) == {"held", "note"}


def test_a_database_that_stays_locked_is_called_busy(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database.BUSY_TIMEOUT_S", 0.05)
    impatient = Database(str(sqlite_database.engine.url))
    with sqlite_database.session() as holder:
        ledger.bank(holder, "held")
        with pytest.raises(DatabaseBusy), impatient.session() as session:
            ledger.bank(session, "other")
    impatient.close()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 a picture, not a database" * 50)
    for act in (
        lambda d: d.migrate(),
        lambda d: d.is_current(),
        lambda d: d.session().__enter__().connection(),
    ):
        with pytest.raises(DatabaseUnusable, match="not an SQLite database"):
            act(Database(f"sqlite:///{path}"))
    assert path.read_bytes().startswith(b"\xff\xd8")


def test_a_damaged_file_says_so(sqlite_database: Database, tmp_path: Path) -> None:
    sqlite_database.scrub()
    sqlite_database.close()
    path = tmp_path / "unwrite.db"
    intact = path.read_bytes()
    path.write_bytes(intact[:4096] + b"\x00" * (len(intact) - 4096))
    with pytest.raises(DatabaseUnusable, match="damaged"), sqlite_database.session() as session:
        ledger.bank(session, "default")


def test_a_database_without_tables_asks_for_the_migrations(tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    assert not empty.is_current()
    with pytest.raises(DatabaseUnusable, match="migrations"), empty.session() as session:
        ledger.bank(session, "default")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://root@localhost/x", "SQLite"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("no url at all", "URL"),
        ("", "URL"),
    ],
)
def test_other_databases_are_refused_in_words(url: str, message: str) -> None:
    with pytest.raises(DatabaseUnusable, match=message):
        Database(url)


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="folder"):
        Database(f"sqlite:///{tmp_path}")
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusable, match="folder"):
        Database(f"sqlite:///{tmp_path}/file/unwrite.db")


def test_an_unreachable_server_says_so() -> None:
    with pytest.raises(DatabaseUnusable, match="reached"):
        Database("postgresql://postgres@127.0.0.1:1/none").is_current()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/a/b/unwrite.db")
    database.migrate()
    assert database.is_current()


def test_every_error_has_a_code_of_its_own_and_a_status() -> None:
    kinds = _all_errors(StoreError)
    assert len({kind.code for kind in kinds}) >= len(kinds) - 1  # PositionsError is abstract
    assert all(400 <= kind.status < 600 for kind in kinds)


def test_exceptions_of_the_database_do_not_show_values(sqlite_database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError) as failure, sqlite_database.session() as session:  # noqa: PT012
        row = {"seq": 1, "kind": "k", "actor": "canaryword", "body": {}, "at": clocks.now()}
        session.execute(sa.insert(Event), [row, row])
    assert "canaryword" not in str(failure.value)


def test_the_event_log_refuses_update_and_delete(sqlite_database: Database) -> None:
    with sqlite_database.session() as session:
        events.append(session, "something", actor="me")
    for statement in (sa.update(Event).values(kind="other"), sa.delete(Event)):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), sqlite_database.session() as session:
            session.execute(statement)


def test_a_scrub_that_meets_a_reader_is_owed_and_done_later(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database._SCRUB_WAIT_MS", 20)
    path = Path(str(sqlite_database.engine.url.database))
    with sqlite_database.session(read_only=True) as reader:
        reader.scalars(sa.select(Bank)).all()
        with sqlite_database.session() as session:
            ledger.bank(session, "default")
        assert not sqlite_database.scrub()
    assert sqlite_database.scrub()
    assert path.with_name("unwrite.db-wal").stat().st_size == 0


def test_a_plain_sqlite_client_can_read_the_file(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite_database.session() as session:
        ledger.bank(session, "default")
    other = sqlite3.connect(tmp_path / "unwrite.db")
    assert other.execute("SELECT name FROM bank").fetchall() == [("default",)]
    other.close()


def _all_errors(base: type[StoreError]) -> list[type[StoreError]]:
    return [base] + [kind for child in base.__subclasses__() for kind in _all_errors(child)]
