"""What only a real Postgres can show. (All of `tests/store` runs on it as well.)"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from store import events, ledger, requests
from store.database import Database
from store.errors import DatabaseUnusable
from store.models import Base
from store.requests import Submission
from store.schema import downgrade
from store.texts import FactText
from store.vault import Vault
from tests.postgres import throwaway_database
from tests.store.scenes import written

pytestmark = pytest.mark.services
CANARY = FactText(
    "The canaryprompt of Zaphodine is", "canaryanswer", "Zaphodine Canarysubject", ("Canaryalias",)
)


@pytest.fixture
def empty() -> Iterator[Database]:
    with throwaway_database() as url:
        database = Database(url)
        yield database
        database.close()


def test_processes_may_migrate_an_empty_database_together(empty: Database) -> None:
    url = empty.engine.url.render_as_string(hide_password=False)
    failures: list[BaseException] = []

    def migrate() -> None:
        own = Database(url)
        try:
            own.migrate()
        except BaseException as error:
            failures.append(error)
        own.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert empty.is_current()


def test_down_leaves_nothing_behind(empty: Database) -> None:
    empty.migrate()
    downgrade(empty.engine)
    with empty.engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alembic_version"]
        functions = "SELECT count(*) FROM pg_proc WHERE proname = 'event_is_append_only'"
        assert connection.scalar(sa.text(functions)) == 0


def test_a_database_without_tables_asks_for_the_migrations(empty: Database) -> None:
    assert not empty.is_current()
    with pytest.raises(DatabaseUnusable, match="migrations"), empty.session() as session:
        ledger.bank(session, "default")


def test_a_database_that_does_not_exist_says_so(empty: Database) -> None:
    url = empty.engine.url.set(database="no_such_database")
    with pytest.raises(DatabaseUnusable, match="server"):
        Database(url.render_as_string(hide_password=False)).is_current()


def test_a_plain_postgresql_url_means_psycopg(empty: Database) -> None:
    url = empty.engine.url.set(drivername="postgresql")
    assert Database(url.render_as_string(hide_password=False)).engine.driver == "psycopg"


def test_a_read_only_session_cannot_write(empty: Database) -> None:
    empty.migrate()
    with pytest.raises(sa.exc.InternalError, match="read-only"), empty.session(read_only=True) as session:
        events.append(session, "sneaky", actor="me")
    with empty.session() as session:
        events.append(session, "allowed", actor="me")


def test_the_event_log_refuses_update_and_delete(empty: Database) -> None:
    empty.migrate()
    for verb in ("UPDATE event SET kind = 'x'", "DELETE FROM event"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), empty.session() as session:
            session.execute(sa.text(verb))


def test_no_word_of_a_fact_is_in_any_column(empty: Database) -> None:
    empty.migrate()
    vault = Vault(bytes(32))
    [fact_id] = written(empty, vault, CANARY)
    with empty.session() as session:
        request = requests.submit(session, vault, Submission("forget", [CANARY]), actor="requester")
        requests.approve(session, request.id, actor="reviewer")
    with empty.session(read_only=True) as session:
        rows = [
            str(row) for table in Base.metadata.sorted_tables for row in session.execute(sa.select(table))
        ]
    everything = "\n".join(rows).lower()
    assert fact_id in everything
    words = ("canaryprompt", "canaryanswer", "zaphodine", "canarysubject", "canaryalias")
    assert [word for word in words if word in everything] == []
