"""Alembic's entry point: uses the connection that `store.schema` hands over, or opens the configured
database.

Run by hand from a checkout: `alembic upgrade head`, `alembic check`. The database is that of Unwrite's
settings (`UNWRITE_DATABASE_URL`, `UNWRITE_HOME`), or `alembic -x url=… upgrade head`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy.engine import Connection

from store.database import Database
from store.models import Base


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


def _database_url() -> str:
    given = context.get_x_argument(as_dictionary=True).get("url")
    if given:
        return given
    from unwrite.settings import Settings

    return Settings().resolved_database_url()


if context.is_offline_mode():
    context.configure(url=_database_url(), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (handed_over := context.config.attributes.get("connection")) is not None:
    _run(handed_over)
else:
    with Database(_database_url()).engine.begin() as own:
        _run(own)
