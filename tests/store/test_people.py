"""Accounts, sessions and tokens: secrets are not stored, roles bound what they may do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from argon2 import PasswordHasher, Type

from store import clocks, events, people
from store.database import Database
from store.errors import EmailTaken, InvalidInput, UnknownUser
from store.models import ApiToken, User, UserSession

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with the least work, so that wrong passwords do not take all day."""
    monkeypatch.setattr(people, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def user(database: Database) -> User:
    with database.session() as session:
        return people.create_user(session, "Rita@Example.org ", " Rita ", "reviewer", PASSWORD)


def log_in(database: Database, password: str = PASSWORD, email: str = "rita@example.org") -> User | None:
    with database.session() as session:
        return people.check_password(session, email, password)


def test_a_user_logs_in_with_any_spelling_of_the_address(database: Database, user: User) -> None:
    assert (user.email, user.name, user.role) == ("rita@example.org", "Rita", "reviewer")
    assert user.password_hash.startswith("$argon2id$")
    found = log_in(database, email=" RITA@example.org")
    assert found is not None
    assert found.id == user.id
    assert log_in(database, "wrong") is None
    assert log_in(database, email="nobody@example.org") is None


def test_passwords_are_hashed_as_expensively_as_owasp_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert people._hasher.type == Type.ID
    assert people._hasher.memory_cost >= 19 * 1024
    assert people._hasher.time_cost >= 2


def test_an_address_is_taken_once(database: Database, user: User) -> None:
    with pytest.raises(EmailTaken) as refusal, database.session() as session:
        people.create_user(session, "RITA@example.org", "Other", "admin", PASSWORD)
    assert "rita" not in str(refusal.value).lower()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"name": " "}, "name"),
        ({"role": "emperor"}, "role"),
        ({"password": "short"}, "password"),
    ],
)
def test_bad_fields_are_named(database: Database, change: dict[str, str], field: str) -> None:
    good = {"email": "a@example.org", "name": "A", "role": "admin", "password": PASSWORD}
    with pytest.raises(InvalidInput) as refusal, database.session() as session:
        people.create_user(session, **(good | change))
    assert refusal.value.field == field
    assert change[field].strip() not in str(refusal.value) or not change[field].strip()


def test_ten_failures_lock_an_account_for_15_minutes(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    for _ in range(10):
        assert log_in(database, "wrong") is None
    assert log_in(database) is None
    clock.shift(timedelta(minutes=14))
    assert log_in(database) is None
    clock.shift(timedelta(minutes=2))
    assert log_in(database) is not None
    with database.session(read_only=True) as session:
        assert [event.kind for event in events.list_events(session)].count("user.locked") == 1


def test_a_right_password_resets_the_count(database: Database, user: User) -> None:
    for _ in range(2):
        for _ in range(9):
            log_in(database, "wrong")
        assert log_in(database) is not None


def test_a_browser_session_lasts_its_time(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        secret = people.open_session(session, user)
        assert session.scalars(sa.select(UserSession.id_hash)).one() != secret
    with database.session(read_only=True) as session:
        found = people.session_user(session, secret)
        assert found is not None
        assert found.id == user.id
        assert people.session_user(session, secret + "x") is None
    clock.shift(people.SESSION_LIFETIME)
    with database.session() as session:
        assert people.session_user(session, secret) is None
        assert people.purge_sessions(session, clocks.now()) == 1


def test_a_session_in_use_lasts_longer_but_not_for_ever(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        secret = people.open_session(session, user)

    def is_open() -> bool:
        with database.session(read_only=True) as session:
            return people.session_user(session, secret) is not None

    while clocks.now() - START < people.SESSION_CAP:
        assert is_open()
        assert database.attempt(lambda session: people.touch_session(session, secret))
        clock.shift(people.SESSION_LIFETIME - timedelta(minutes=1))
    assert not is_open()


def test_a_session_that_has_ended_is_not_revived(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        secret = people.open_session(session, user)
    clock.shift(people.SESSION_LIFETIME)
    database.attempt(lambda session: people.touch_session(session, secret))
    with database.session(read_only=True) as session:
        assert people.session_user(session, secret) is None


def test_logging_out_switching_off_and_a_new_password_end_sessions(database: Database, user: User) -> None:
    with database.session() as session:
        secrets = [people.open_session(session, user) for _ in range(3)]
        people.close_session(session, secrets[0])
        assert people.session_user(session, secrets[0]) is None
        people.set_active(session, user.id, False, actor="admin")
        assert people.session_user(session, secrets[1]) is None
        people.set_active(session, user.id, True, actor="admin")
        people.set_password(session, user.id, "another password", actor="admin")
        assert people.session_user(session, secrets[1]) is None
    assert log_in(database) is None
    assert log_in(database, "another password") is not None


def test_what_was_ended_by_switching_off_stays_ended(database: Database, user: User) -> None:
    with database.session() as session:
        secret = people.open_session(session, user)
        _, token = people.create_token(session, user, "ci", ["requests:read"], None)
        people.set_active(session, user.id, False, actor="cli")
    with database.session() as session:
        people.set_active(session, user.id, True, actor="cli")
    with database.session(read_only=True) as session:
        assert people.session_user(session, secret) is None
        assert people.token_user(session, token) is None
        kinds = [event.kind for event in events.list_events(session)]
        assert kinds[-3:] == ["token.revoked", "user.active", "user.active"]


def test_last_use_is_noted_now_and_then(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        secret = people.open_session(session, user)
        token, token_secret = people.create_token(session, user, "ci", ["requests:read"], None)
    for minutes, due in ((0, (False, True)), (6, (True, True)), (0, (False, False))):
        clock.shift(timedelta(minutes=minutes))
        with database.session(read_only=True) as session:
            identity = people.token_user(session, token_secret)
            assert identity is not None
            assert (people.session_touch_due(session, secret), identity.touch_due) == due
        if minutes:
            assert database.attempt(lambda session: people.touch_session(session, secret))
            assert database.attempt(lambda session: people.touch_token(session, token.id))
    with database.session(read_only=True) as session:
        assert session.scalars(sa.select(UserSession.last_seen_at)).one() == clocks.now()
        assert session.scalars(sa.select(ApiToken.last_used_at)).one() == clocks.now()


def test_a_note_of_use_waits_for_nobody(database: Database, user: User) -> None:
    with database.session() as session:
        token, _ = people.create_token(session, user, "ci", ["requests:read"], None)
    with database.session() as session:
        people.revoke_token(session, token.id, actor="cli")
        session.flush()
        begun = time.monotonic()
        database.attempt(lambda other: people.touch_token(other, token.id))
        assert time.monotonic() - begun < 2
    with database.session(read_only=True) as session:
        row = session.get_one(ApiToken, token.id)
    assert row.last_used_at is None
    assert row.revoked_at is not None


def test_a_token_speaks_for_its_user_within_its_scopes(database: Database, user: User) -> None:
    with database.session() as session:
        row, secret = people.create_token(session, user, "ci", ["requests:decide", "requests:read"], None)
        assert secret.startswith("unw_")
        assert len(secret) >= 4 + 43
        assert secret not in (row.token_hash, row.id)
        identity = people.token_user(session, secret)
        assert identity is not None
        assert (identity.user.id, identity.token_id) == (user.id, row.id)
        assert identity.scopes == {"requests:decide", "requests:read"}
        user_row = people.get_user(session, user.id)
        user_row.role = "auditor"  # demoted: the token loses what the role has lost
        demoted = people.token_user(session, secret)
        assert demoted is not None
        assert demoted.scopes == {"requests:read"}
        assert [token.id for token in people.tokens_of(session, user.id)] == [row.id]


def test_a_token_for_everything_may_do_all_that_its_user_may(database: Database) -> None:
    with database.session() as session:
        boss = people.create_user(session, "boss@example.org", "Boss", "admin", PASSWORD)
        _, secret = people.create_token(session, boss, "all", ["admin"], None)
        for role in ("admin", "auditor"):
            boss.role = role
            found = people.token_user(session, secret)
            assert found is not None
            assert found.scopes == people.ROLES[role]


def test_expired_revoked_and_invented_tokens_say_nothing(
    database: Database, user: User, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        _, short = people.create_token(session, user, "short", ["requests:read"], START + timedelta(days=1))
        long, secret = people.create_token(session, user, "long", ["requests:read"], None)
        assert people.token_user(session, "unw_invented") is None
        assert people.token_user(session, short)
        assert not people.revoke_token(session, long.id, actor="me", user_id="usr_other")
        assert people.revoke_token(session, long.id, actor="me", user_id=user.id)
        assert not people.revoke_token(session, long.id, actor="me")
        assert people.token_user(session, secret) is None
        clock.shift(timedelta(days=1))
        assert people.token_user(session, short) is None


@pytest.mark.parametrize("scopes", [[], ["admin"], ["requests:read", "everything"]])
def test_a_token_cannot_do_more_than_its_user(database: Database, user: User, scopes: list[str]) -> None:
    with pytest.raises(InvalidInput), database.session() as session:
        people.create_token(session, user, "ci", scopes, None)


def test_a_token_cannot_be_born_expired(database: Database, user: User) -> None:
    with pytest.raises(InvalidInput), database.session() as session:
        people.create_token(session, user, "ci", ["requests:read"], START)


def test_roles_hold_the_scopes_they_should() -> None:
    table = {role: [scope for scope in people.SCOPES if people.permits(role, scope)] for role in people.ROLES}
    assert table == {
        "requester": ["requests:write", "requests:read", "reports:read"],
        "reviewer": [
            "requests:write",
            "requests:read",
            "requests:decide",
            "facts:write",
            "facts:read",
            "reports:read",
        ],
        "auditor": ["requests:read", "facts:read", "reports:read"],
        "admin": list(people.SCOPES),
    }
    assert not people.permits("emperor", "requests:read")
    assert not people.permits("admin", "everything")


def test_unknown_users_and_lists(database: Database, user: User) -> None:
    with database.session(read_only=True) as session:
        with pytest.raises(UnknownUser):
            people.get_user(session, "usr_none")
        assert people.user_by_email(session, "RITA@example.org") is not None
        assert [row.email for row in people.list_users(session)] == ["rita@example.org"]
