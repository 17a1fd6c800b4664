"""The migrations make what the models say, forwards and backwards, from any working directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError

from store import events, rechecks
from store.clocks import now
from store.database import Database
from store.models import Base, Recheck
from store.schema import config, downgrade, upgrade
from store.vault import Vault
from tests.store.scenes import CLEO, completed
from tests.store.test_log import assert_one_chain

ROOT = Path(__file__).parents[2]


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.begin() as connection:
        command.check(config(connection))


def test_drift_would_be_noticed(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE bank ADD COLUMN surprise INTEGER"))
        with pytest.raises(CommandError, match="New upgrade operations"):
            command.check(config(connection))
        connection.rollback()


def test_down_to_nothing_and_up_again(database: Database) -> None:
    downgrade(database.engine)
    assert sa.inspect(database.engine).get_table_names() == ["alembic_version"]
    assert not database.is_current()
    upgrade(database.engine)
    assert database.is_current()
    assert set(sa.inspect(database.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    assert database.is_current()


def test_the_alembic_command_line_works_from_a_checkout(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini")]
    arguments += ["-x", f"url=sqlite:///{tmp_path}/cli.db", "upgrade", "head"]
    subprocess.run(arguments, cwd=tmp_path, check=True, timeout=60, env={"PYTHONPATH": str(ROOT)})
    assert Database(f"sqlite:///{tmp_path}/cli.db").is_current()


OLD_EVENTS = [  # as version 0.1.0 wrote them; the second one's clock was set back
    ("user.created", '{"user": "usr_a", "role": "admin"}', "2026-11-23 10:00:00.000001"),
    ("token.created", '{"token": "tok_a"}', "2026-11-23 09:00:00.000000"),
    ("user.active", '{"user": "usr_a", "active": true}', "2026-11-23 11:00:00.000000"),
]


def test_old_events_are_chained_in_their_order_and_come_back_on_the_way_down(database: Database) -> None:
    downgrade(database.engine, "0001")
    with database.engine.begin() as connection:
        for seq, (kind, body, at) in zip((1, 3, 9), OLD_EVENTS, strict=True):  # a sequence has gaps
            values = {"seq": seq, "kind": kind, "body": body, "at": at}
            connection.execute(
                sa.text(
                    "INSERT INTO event (seq, kind, actor, body, at) VALUES (:seq, :kind, 'cli', :body, :at)"
                ),
                values,
            )
    upgrade(database.engine)
    assert_one_chain(database, 3)
    with database.session() as session:
        found = events.list_events(session)
        events.append(session, "later", actor="me")
    assert [(event.kind, event.body) for event in found] == [
        (kind, json.loads(body)) for kind, body, _ in OLD_EVENTS
    ]
    assert [event.at.hour for event in found] == [10, 10, 11]
    assert_one_chain(database, 4)
    downgrade(database.engine, "0001")
    with database.engine.begin() as connection:
        rows = connection.execute(sa.text("SELECT seq, kind, actor FROM event ORDER BY seq")).all()
    assert [tuple(row) for row in rows] == [
        (1, "user.created", "cli"),
        (2, "token.created", "cli"),
        (3, "user.active", "cli"),
        (4, "later", "me"),
    ]
    upgrade(database.engine)


def test_of_several_active_rechecks_of_a_request_the_oldest_stays(database: Database, vault: Vault) -> None:
    request_id = completed(database, vault, CLEO, kind="censor").request_id
    downgrade(database.engine, "0003")
    with database.session() as session:
        for name, days, active in (("c", 9, False), ("b", 30, True), ("a", 1, True), ("d", 7, True)):
            row = {"id": f"chk_{name}", "request_id": request_id, "every_days": days, "next_at": now()}
            session.add(Recheck(**row, active=active, created_by="me"))
            body: events.EventBody = {"recheck": f"chk_{name}", "every_days": days}
            events.append(session, "recheck.scheduled", actor="me", request_id=request_id, body=body)
    upgrade(database.engine)
    with database.session() as session:
        states = {name: rechecks.get(session, f"chk_{name}").active for name in "abcd"}
        assert states == {"a": False, "b": True, "c": False, "d": False}
    downgrade(database.engine, "0003")
    upgrade(database.engine)
