"""The account page: tokens are shown once, hold no more than the role, and stop working when revoked."""

from __future__ import annotations

import re

from apiflask import APIFlask
from flask.testing import FlaskClient

from store import people
from store.models import User
from tests.web.conftest import SignIn
from tests.web.scenario import Scenario

Users = dict[str, User]


def create(client: FlaskClient, **data: object):  # type: ignore[no-untyped-def]
    return client.post(
        "/account/tokens", data={"name": "Export", "scopes": ["requests:read"], "days": "90"} | data
    )


def test_token_is_shown_once_and_works(app: APIFlask, auditor: FlaskClient) -> None:
    made = create(auditor)
    assert made.status_code == 201
    secret = re.search(r"unw_[\w-]+", made.text)
    assert secret
    assert secret[0] not in auditor.get("/account").text
    headers = {"Authorization": f"Bearer {secret[0]}"}
    assert app.test_client().get("/api/v1/requests", headers=headers).status_code == 200
    revoke = re.search(r"/account/tokens/tok_\w+/revoke", auditor.get("/account").text)
    assert revoke
    assert "was revoked" in auditor.post(revoke[0], follow_redirects=True).text
    assert app.test_client().get("/api/v1/requests", headers=headers).status_code == 401


def test_a_token_for_everything_works(app: APIFlask, sign_in: SignIn) -> None:
    secret = re.search(r"unw_[\w-]+", create(sign_in("admin"), scopes=["admin"]).text)
    assert secret
    headers = {"Authorization": f"Bearer {secret[0]}"}
    for path in ("requests", "facts", "rechecks"):
        assert app.test_client().get(f"/api/v1/{path}", headers=headers).status_code == 200


def test_token_cannot_exceed_the_role(auditor: FlaskClient, scenario: Scenario, users: Users) -> None:
    refused = create(auditor, scopes=["requests:decide"])
    assert refused.status_code == 422
    assert "only such as the user" in refused.text
    assert "requests:decide" not in auditor.get("/account").text
    with scenario.database.session(read_only=True) as session:
        assert people.tokens_of(session, users["auditor"].id) == []


def test_name_and_rights_are_asked_for(auditor: FlaskClient) -> None:
    assert "Give the token a name." in create(auditor, name="").text
    assert "A token needs scopes" in create(auditor, scopes=[]).text


def test_tokens_of_others_cannot_be_revoked(auditor: FlaskClient, scenario: Scenario, users: Users) -> None:
    scenario.token(users["reviewer"])
    with scenario.database.session(read_only=True) as session:
        (token,) = people.tokens_of(session, users["reviewer"].id)
    assert "no such token" in auditor.post(f"/account/tokens/{token.id}/revoke", follow_redirects=True).text
    with scenario.database.session(read_only=True) as session:
        assert people.tokens_of(session, users["reviewer"].id)[0].revoked_at is None
