"""A session lasts while somebody uses it; when it has ended, nothing that was typed is lost and no page breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO

import pytest
import time_machine
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import requests
from store.texts import FactText
from tests.web.conftest import SignIn
from tests.web.scenario import ANA, PASSWORD, Scenario
from tests.web.test_request_form import form

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HTMX = {"HX-Request": "true"}
ODD = FactText('Where does "Zoë" & <b>Al</b> live?', "Zanzibar", "Zoë")


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def csrf(app: APIFlask) -> Iterator[None]:
    app.config["WTF_CSRF_ENABLED"] = True
    yield
    app.config["WTF_CSRF_ENABLED"] = False


def hidden(page: str) -> dict[str, str]:
    """Names and values of the hidden fields of a page."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {unescape(name): unescape(value) for name, value in fields}


def sign_in_by_form(client: FlaskClient, role: str) -> None:
    fields = hidden(client.get("/login").text)
    answer = client.post("/login", data=fields | {"email": f"{role}@example.org", "password": PASSWORD})
    assert answer.status_code == 302


def typed_then_away(client: FlaskClient, clock: time_machine.Traveller) -> str:
    """Somebody fills a form, comes back after the session has ended, and sends it: the page that they get."""
    sign_in_by_form(client, "requester")
    keys = hidden(client.get("/requests/new").text)
    clock.shift(timedelta(hours=13))
    answer = client.post("/requests/new", data=form(ANA, ODD, kind="censor", reference="DSR-7") | keys)
    assert answer.status_code == 401
    return answer.text


def sent(scenario: Scenario) -> list[requests.RequestFact]:
    with scenario.database.session(read_only=True) as session:
        (item,) = requests.list_requests(session).items
        assert item.reference == "DSR-7"
        return requests.facts_of(session, scenario.vault, item.id)


@pytest.mark.usefixtures("csrf")
def test_what_was_typed_is_sent_after_a_sign_in_in_another_tab(
    app: APIFlask, scenario: Scenario, clock: time_machine.Traveller
) -> None:
    client = app.test_client()
    page = typed_then_away(client, clock)
    assert "Your session has ended" in page
    assert "Sign in in another tab, then send again" in page
    assert 'action="/requests/new"' in page
    too_early = client.post("/requests/new", data=hidden(page))
    assert too_early.status_code == 401
    sign_in_by_form(client, "requester")
    for fields in (hidden(page), hidden(too_early.text)):  # the first page, and once more from the second
        assert client.post("/requests/new", data=fields).status_code == 302
    assert [fact.text for fact in sent(scenario)] == [ANA, ODD]


@pytest.mark.usefixtures("csrf")
def test_form_that_is_still_open_works_after_a_sign_in_in_another_tab(
    app: APIFlask, scenario: Scenario, clock: time_machine.Traveller
) -> None:
    client = app.test_client()
    sign_in_by_form(client, "requester")
    keys = hidden(client.get("/requests/new").text)
    clock.shift(timedelta(hours=13))
    sign_in_by_form(client, "requester")
    answer = client.post("/requests/new", data=form(ANA, ODD, kind="censor", reference="DSR-7") | keys)
    assert answer.status_code == 302
    assert len(sent(scenario)) == 2


@pytest.mark.usefixtures("csrf")
def test_what_one_person_typed_is_never_sent_by_another(app: APIFlask, clock: time_machine.Traveller) -> None:
    client = app.test_client()
    page = typed_then_away(client, clock)
    sign_in_by_form(client, "reviewer")
    assert client.post("/requests/new", data=hidden(page)).status_code == 400


@pytest.mark.usefixtures("csrf")
@pytest.mark.parametrize("leave", [True, False])
def test_token_of_a_form_ends_with_signing_out_and_begins_with_signing_in(app: APIFlask, leave: bool) -> None:
    client = app.test_client()
    fields = hidden(client.get("/login").text)
    sign_in_by_form(client, "requester")
    if leave:
        fields = hidden(client.get("/requests/new").text)
        assert client.post("/logout", data=fields).status_code == 302
        sign_in_by_form(client, "requester")
    answer = client.post("/requests/new", data=form(ANA, kind="censor") | fields)
    assert answer.status_code == 400


@pytest.mark.parametrize("secret", [{"new_password": "canary"}, {"file": (BytesIO(b"canary"), "a.txt")}])
def test_passwords_and_files_are_not_kept_on_a_page(app: APIFlask, secret: dict[str, object]) -> None:
    answer = app.test_client().post("/requests/new", data=form(ANA) | secret)
    assert (answer.status_code, answer.location) == (302, "/login")
    assert "canary" not in answer.text


@pytest.mark.parametrize(
    ("shown", "target"),
    [
        ("http://localhost/requests/req_x?view=all#top", "/login?next=/requests/req_x?view%3Dall"),
        ("https://evil.example/requests", "/login?next=/requests"),
        ("https://evil.example//evil.example", "/login"),
        ("http://[", "/login"),
        ("", "/login"),
    ],
)
def test_live_page_goes_to_the_sign_in_as_a_whole(app: APIFlask, shown: str, target: str) -> None:
    client = app.test_client()
    answer = client.get("/requests/req_x/progress?seen=1", headers=HTMX | {"HX-Current-URL": shown})
    assert (answer.status_code, answer.text) == (401, "")
    assert answer.headers["HX-Redirect"] == target
    assert "evil" not in hidden(client.get(target).text)["next"]


def test_session_in_use_goes_on(reviewer: FlaskClient, clock: time_machine.Traveller) -> None:
    for _ in range(3):
        clock.shift(timedelta(hours=11))
        assert reviewer.get("/requests").status_code == 200


def test_page_that_asks_by_itself_keeps_no_session_open(
    sign_in: SignIn, clock: time_machine.Traveller
) -> None:
    left_alone = sign_in("reviewer")
    clock.shift(timedelta(hours=11))
    assert left_alone.get("/requests", headers=HTMX).status_code == 200
    clock.shift(timedelta(hours=2))
    assert left_alone.get("/requests").status_code == 302
