"""An application over a real, migrated SQLite database with one account a role, and clients that are signed
in.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import people
from store.database import Database
from store.models import User
from store.vault import Vault
from tests.web.scenario import Scenario
from unwrite.settings import Settings
from web import create_app
from web.security import limiter

MASTER_KEY = bytes(range(32))
SignIn = Callable[[str], FlaskClient]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with the four roles; copied for every test, because hashing passwords is slow."""
    path = tmp_path_factory.mktemp("web") / "unwrite.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    scenario = Scenario(database, Vault(MASTER_KEY))
    for role in people.ROLES:
        scenario.user(role)
    database.scrub()
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("UNWRITE_MASTER_KEY", base64.b64encode(MASTER_KEY).decode())
    return Settings(home=tmp_path)


@pytest.fixture
def database(tmp_path: Path, template: Path) -> Iterator[Database]:
    path = tmp_path / "unwrite.db"
    shutil.copy(template, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def wakes() -> list[tuple[str, str]]:
    """(job id, queue) of every wake that the application sent."""
    return []


@pytest.fixture
def app(settings: Settings, database: Database, wakes: list[tuple[str, str]]) -> Iterator[APIFlask]:
    application = create_app(settings, database=database, wake=lambda job, queue: wakes.append((job, queue)))
    application.config["WTF_CSRF_ENABLED"] = False  # tests/web/test_security.py switches it on
    limiter.reset()
    yield application
    limiter.reset()


@pytest.fixture
def scenario(database: Database) -> Scenario:
    return Scenario(database, Vault(MASTER_KEY))


@pytest.fixture
def users(database: Database) -> dict[str, User]:
    """The account of each role."""
    with database.session(read_only=True) as session:
        return {user.role: user for user in people.list_users(session)}


@pytest.fixture
def sign_in(app: APIFlask, database: Database, users: dict[str, User]) -> SignIn:
    """A client with the session of a role, opened in the store and put into the cookie."""

    def signed_in(role: str) -> FlaskClient:
        with database.session() as session:
            secret = people.open_session(session, users[role])
        client = app.test_client()
        with client.session_transaction() as cookie:
            cookie["_user_id"] = secret
        return client

    return signed_in


@pytest.fixture
def reviewer(sign_in: SignIn) -> FlaskClient:
    return sign_in("reviewer")


@pytest.fixture
def requester(sign_in: SignIn) -> FlaskClient:
    return sign_in("requester")


@pytest.fixture
def auditor(sign_in: SignIn) -> FlaskClient:
    return sign_in("auditor")


@pytest.fixture
def bearer(scenario: Scenario, users: dict[str, User]) -> Callable[..., dict[str, str]]:
    """The headers of a program: `bearer("reviewer", "requests:read")`; without scopes all of the role's."""

    def headers(role: str, *scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {scenario.token(users[role], *scopes)}"}

    return headers
