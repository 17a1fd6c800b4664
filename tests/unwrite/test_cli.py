"""The command line: says what to do, prints secrets once, shows no traceback for a mistake of set-up."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from store import people
from store.database import Database
from unwrite.cli import main
from unwrite.installation import first_accounts
from unwrite.settings import Settings


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def signs_in(email: str, password: str) -> bool:
    database = Database(Settings().resolved_database_url())
    try:
        with database.session() as session:
            return people.check_password(session, email, password) is not None
    finally:
        database.close()


def test_commands_before_the_migration_say_what_to_run() -> None:
    result = run("user", "create", "ann@example.org", "--role", "reviewer")
    assert result.exit_code == 1
    assert "unwrite migrate" in result.output
    assert "Traceback" not in result.output


def test_an_account_and_its_token_can_be_made_and_used() -> None:
    assert run("migrate").exit_code == 0
    made = run("user", "create", "ann@example.org", "--role", "reviewer")
    password = made.output.split("password: ")[1].split()[0]
    secret = run("token", "create", "ann@example.org").output.strip()
    database = Database(Settings().resolved_database_url())
    with database.session() as session:
        assert people.check_password(session, "ann@example.org", password) is not None
        identity = people.token_user(session, secret)
    database.close()
    assert identity is not None
    assert identity.scopes == people.ROLES["reviewer"]


@pytest.mark.parametrize("command", [("token", "create", "ann@example.org"), ("keys", "new")])
@pytest.mark.parametrize("days", ["0", "3651", "99999999", "9" * 30])
def test_a_validity_beyond_ten_years_is_refused(command: tuple[str, ...], days: str) -> None:
    run("migrate")
    run("user", "create", "ann@example.org", "--role", "reviewer")
    refused = run(*command, "--days", days)
    assert refused.exit_code == 2
    assert "1<=x<=3650" in refused.output
    assert run(*command, "--days", "3650").exit_code == 0


@pytest.mark.parametrize("scope", ["bogus", "facts:write"])
def test_a_scope_beyond_the_role_is_refused_with_those_that_it_has(scope: str) -> None:
    run("migrate")
    run("user", "create", "ann@example.org", "--role", "auditor")
    refused = run("token", "create", "ann@example.org", "--scope", "facts:read", "--scope", scope)
    assert refused.exit_code == 2
    assert "facts:read, reports:read, requests:read" in refused.output
    assert run("token", "create", "ann@example.org", "--scope", "facts:read").exit_code == 0


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999"])
def test_a_port_that_cannot_be_is_refused(port: str) -> None:
    assert run("serve", "--port", port).exit_code == 2


def test_a_seed_that_no_generator_takes_is_refused() -> None:
    refused = run("audit", "--target", "larimar", "--facts", __file__, "--seed", "9" * 30)
    assert refused.exit_code == 2
    assert "--seed" in refused.output


def test_an_account_that_is_switched_off_can_do_nothing_until_it_is_on_again() -> None:
    run("migrate")
    password = run("user", "create", "ann@example.org", "--role", "reviewer").output.split()[3]
    secret = run("token", "create", "ann@example.org").output.strip()
    assert signs_in("ann@example.org", password)
    assert run("user", "disable", "ann@example.org").exit_code == 0
    assert not signs_in("ann@example.org", password)
    assert run("user", "enable", "ann@example.org").exit_code == 0
    assert signs_in("ann@example.org", password)
    database = Database(Settings().resolved_database_url())
    with database.session() as session:
        assert people.token_user(session, secret) is None
    database.close()


def test_a_new_password_is_random_or_typed() -> None:
    run("migrate")
    old = run("user", "create", "ann@example.org", "--role", "reviewer").output.split()[3]
    new = run("user", "password", "ann@example.org").output.split("password: ")[1].split()[0]
    assert signs_in("ann@example.org", new)
    assert not signs_in("ann@example.org", old)
    typed = CliRunner().invoke(
        main, ["user", "password", "ann@example.org", "--ask-password"], input="a long one\n" * 2
    )
    assert typed.exit_code == 0
    assert "a long one" not in typed.output
    assert signs_in("ann@example.org", "a long one")
    assert run("user", "password", "bob@example.org").exit_code == 1


def test_the_same_address_twice_is_refused_in_one_line() -> None:
    run("migrate")
    run("user", "create", "ann@example.org", "--role", "reviewer")
    again = run("user", "create", "ann@example.org", "--role", "reviewer")
    assert again.exit_code == 1
    assert again.output.strip().count("\n") == 0


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNWRITE_LEASE_S", "sekret")
    result = run("migrate")
    assert result.exit_code == 1
    assert "UNWRITE_LEASE_S" in result.output
    assert "sekret" not in result.output


def test_another_master_key_is_noticed_at_once(tmp_path: Path) -> None:
    run("migrate")
    (tmp_path / "home" / "master.key").unlink()
    result = run("user", "create", "ann@example.org", "--role", "reviewer")
    assert result.exit_code == 1
    assert "master key" in result.output


def test_doctor_finds_what_is_missing_and_says_what_to_do() -> None:
    before = run("doctor", "--no-model")
    assert before.exit_code == 1
    assert "unwrite migrate" in before.output
    assert "unwrite keys new" in before.output
    run("migrate")
    run("keys", "new")
    after = run("doctor", "--no-model")
    assert after.exit_code == 0, after.output
    assert "FAIL" not in after.output


def test_doctor_says_when_the_signing_key_is_about_to_expire() -> None:
    run("migrate")
    run("keys", "new", "--days", "3")
    assert "more days only" in run("doctor", "--no-model").output


def test_doctor_says_when_a_broker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNWRITE_BROKER_URL", "redis://127.0.0.1:1/0")
    run("migrate")
    assert "broker: does not answer" in run("doctor", "--no-model").output


def test_the_first_accounts_are_made_once() -> None:
    database = Database(Settings().resolved_database_url())
    database.migrate()
    assert len(first_accounts(database)) == 3
    assert first_accounts(database) == []
    database.close()
