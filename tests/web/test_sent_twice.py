"""A form that is sent twice, as by a double click, is done once and leads to the same place."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from store import requests
from tests.web.conftest import SignIn
from tests.web.scenario import ANA, BEN, Scenario
from tests.web.test_request_form import form


def key_of(page: str) -> str:
    """The one-time key of a form."""
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found
    return found[1]


def count(scenario: Scenario) -> int:
    with scenario.database.session(read_only=True) as session:
        return len(requests.list_requests(session).items)


def test_double_click_makes_one_request(requester: FlaskClient, scenario: Scenario) -> None:
    data = form(ANA, kind="censor") | {"once": key_of(requester.get("/requests/new").text)}
    answers = [requester.post("/requests/new", data=data) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0].location == answers[1].location
    assert count(scenario) == 1
    assert requester.get(answers[1].location).status_code == 200


def test_two_clicks_at_the_same_moment_make_one_request(sign_in: SignIn, scenario: Scenario) -> None:
    first = sign_in("requester")
    data = form(ANA, kind="censor") | {"once": key_of(first.get("/requests/new").text)}
    clients = [first, sign_in("requester")]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: client.post("/requests/new", data=data), clients))
    assert len({answer.location for answer in answers}) == 1
    assert count(scenario) == 1


def test_double_click_writes_facts_once(
    reviewer: FlaskClient, scenario: Scenario, wakes: list[tuple[str, str]]
) -> None:
    data = form(ANA) | {"once": key_of(reviewer.get("/facts/new").text)}
    answers = [reviewer.post("/facts/new", data=data) for _ in range(2)]
    assert [answer.location for answer in answers] == ["/facts", "/facts"]
    assert len(wakes) == 1


def test_each_form_has_a_key_of_its_own(requester: FlaskClient, scenario: Scenario) -> None:
    for fact in (ANA, BEN):
        data = form(fact, kind="censor") | {"once": key_of(requester.get("/requests/new").text)}
        requester.post("/requests/new", data=data)
    assert count(scenario) == 2


def test_refused_form_does_not_use_up_its_key(requester: FlaskClient, scenario: Scenario) -> None:
    data = form(ANA) | {"once": key_of(requester.get("/requests/new").text)}
    assert requester.post("/requests/new", data=data).status_code == 409
    scenario.write(ANA)
    assert requester.post("/requests/new", data=data).status_code == 302


def test_form_that_was_changed_after_it_was_sent_is_asked_about(
    requester: FlaskClient, scenario: Scenario
) -> None:
    data = form(ANA, kind="censor") | {"once": key_of(requester.get("/requests/new").text)}
    requester.post("/requests/new", data=data)
    changed = data | {"reference": "DSR-2"}
    asked = requester.post("/requests/new", data=changed)
    assert asked.status_code == 409
    assert "was sent before with other contents" in asked.text
    assert 'value="DSR-2"' in asked.text
    again = requester.post("/requests/new", data=changed | {"once": key_of(asked.text)})
    assert again.status_code == 302
    assert count(scenario) == 2


@pytest.mark.parametrize("key", ["", "ü", "x" * 300])
def test_odd_keys_are_no_error(requester: FlaskClient, scenario: Scenario, key: str) -> None:
    data = form(ANA, kind="censor") | {"once": key}
    assert requester.post("/requests/new", data=data).status_code == 302
