"""Signing in: with the right password only, back to where one wanted to go, and out for good."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import people
from store.database import Database
from tests.web.scenario import PASSWORD


def post(client: FlaskClient, email: str, password: str, next_page: str = ""):  # type: ignore[no-untyped-def]
    return client.post("/login", data={"email": email, "password": password, "next": next_page})


def test_pages_ask_for_a_sign_in_and_come_back_after_it(app: APIFlask) -> None:
    client = app.test_client()
    asked = client.get("/requests?view=all")
    assert asked.status_code == 302
    assert asked.location == "/login?next=/requests?view%3Dall"
    assert (
        post(client, "reviewer@example.org", PASSWORD, "/requests?view=all").location == "/requests?view=all"
    )
    assert client.get("/requests?view=all").status_code == 200


def test_wrong_password_and_unknown_address_get_the_same_answer(app: APIFlask) -> None:
    client = app.test_client()
    wrong = post(client, "reviewer@example.org", "not the password")
    unknown = post(client, "nobody@example.org", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert b"do not match an account" in wrong.data
    assert b"do not match an account" in unknown.data
    assert client.get("/requests").status_code == 302


def test_failed_sign_in_keeps_the_address_and_drops_the_password(app: APIFlask) -> None:
    answer = post(app.test_client(), "reviewer@example.org", "canary-password")
    assert b'value="reviewer@example.org"' in answer.data
    assert b"canary-password" not in answer.data


def test_empty_fields_are_named(app: APIFlask) -> None:
    answer = post(app.test_client(), "", "")
    assert answer.status_code == 422
    assert b"Give your e-mail address." in answer.data
    assert b'aria-invalid="true"' in answer.data


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_sign_in_never_leads_to_another_site(app: APIFlask, target: str) -> None:
    assert post(app.test_client(), "reviewer@example.org", PASSWORD, target).location == "/requests"


def test_signing_out_ends_the_session_in_the_database_too(app: APIFlask, reviewer: FlaskClient) -> None:
    with reviewer.session_transaction() as cookie:
        secret = cookie["_user_id"]
    assert reviewer.post("/logout").status_code == 302
    stolen = app.test_client()
    with stolen.session_transaction() as cookie:
        cookie["_user_id"] = secret
    assert stolen.get("/requests").status_code == 302


def test_deactivated_account_is_out_at_once(reviewer: FlaskClient, database: Database, users) -> None:  # type: ignore[no-untyped-def]
    assert reviewer.get("/requests").status_code == 200
    with database.session() as session:
        people.set_active(session, users["reviewer"].id, False, actor="cli")
    assert reviewer.get("/requests").status_code == 302


def test_eleventh_attempt_in_a_minute_is_refused(app: APIFlask) -> None:
    client = app.test_client()
    answers = [post(client, "nobody@example.org", "wrong").status_code for _ in range(11)]
    assert answers == [401] * 10 + [429]


def test_first_run_says_how_to_make_an_account(app: APIFlask, database: Database, users) -> None:  # type: ignore[no-untyped-def]
    assert b"unwrite user create" not in app.test_client().get("/login").data
    with database.session() as session:
        for user in users.values():
            people.set_active(session, user.id, False, actor="cli")
    assert b"unwrite user create" in app.test_client().get("/login").data
