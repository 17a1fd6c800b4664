"""What only Postgres refuses is the caller's to mend, not an error on our side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import people
from store.clocks import now
from store.database import Database
from store.models import User
from store.pages import encode_cursor
from store.vault import Vault
from tests.postgres import throwaway_database
from tests.web.conftest import MASTER_KEY
from tests.web.scenario import ANA, Scenario

pytestmark = pytest.mark.services
Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with throwaway_database() as url:
        database = Database(url)
        database.migrate()
        scenario = Scenario(database, Vault(MASTER_KEY))
        for role in people.ROLES:
            scenario.user(role)
        yield database
        database.close()


@pytest.fixture
def database(server: Database) -> Database:
    return server


@pytest.mark.parametrize("path", ["/requests/%00", "/reports/%00", "/requests?cursor=CURSOR"])
def test_a_nul_in_an_address_is_not_our_error(reviewer: FlaskClient, path: str) -> None:
    answer = reviewer.get(path.replace("CURSOR", encode_cursor(now(), "\x00")))
    assert answer.status_code == 422, answer.text


def test_a_nul_in_a_form_is_refused_in_words(
    app: APIFlask, reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    answer = reviewer.post(f"/requests/{item.id}/deny", data={"reason": "not \x00 the person"})
    assert (answer.status_code, "NUL character" in answer.text) == (422, True)
    assert scenario.state(item.id) == "received"
    answer = reviewer.post("/rechecks", data={"request_id": "\x00", "every_days": "30"})
    assert answer.status_code == 422
    login = app.test_client().post("/login", data={"email": "a\x00@example.org", "password": "x"})
    assert login.status_code < 500


def test_a_nul_in_a_call_is_refused_in_words(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    client, headers = app.test_client(), bearer("reviewer")
    place = f"/api/v1/requests/{item.id}/deny"
    for more in ({}, {"Idempotency-Key": "once"}):
        answer = client.post(place, json={"reason": "not \x00 the person"}, headers=headers | more)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    cursor = encode_cursor(now(), "\x00")
    answer = client.get(f"/api/v1/requests?cursor={cursor}", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert scenario.state(item.id) == "received"
