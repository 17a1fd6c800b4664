"""The migrations make what the models say, forwards and backwards, from any working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.util import CommandError

from store.database import Database
from store.models import Base
from store.schema import config, downgrade, upgrade

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
