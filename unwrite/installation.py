"""An installation as the commands find it: its database, checked, and its first accounts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from unwrite.settings import Settings, SettingsError

if TYPE_CHECKING:
    from store.database import Database


def open_database(settings: Settings, *, migrate: bool = False) -> Database:
    """The database, if it has this version's schema and this installation's master key."""
    from store import subjects
    from store.database import Database
    from store.vault import Vault

    database = Database(settings.resolved_database_url())
    if migrate:
        database.migrate()
    elif not database.is_current():
        raise SettingsError("The database does not have this version's schema yet. Run: unwrite migrate")
    vault = Vault(settings.master_key())
    with database.session() as session:
        subjects.check_master_key(session, vault)
    return database


def first_accounts(database: Database) -> list[str]:
    """On the first start make a reviewer and a requester (nobody approves his own request); how to log in."""
    from store import people

    with database.session() as session:
        if people.list_users(session):
            return []
        lines = ["First start. Two accounts were made; their passwords are shown only now:"]
        for role in ("reviewer", "requester"):
            password = new_password()
            people.create_user(session, f"{role}@localhost", role.capitalize(), role, password)
            lines.append(f"  {role}@localhost   {password}")
    return lines


def new_password() -> str:
    """A random password (120 bits)."""
    return secrets.token_urlsafe(15)
