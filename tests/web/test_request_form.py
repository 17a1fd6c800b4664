"""Submitting over the page: what is right goes in, what is wrong comes back with the input and the field's
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import clocks, requests
from store.models import User
from tests.web.scenario import ANA, BEN, Scenario

Users = dict[str, User]


def form(*facts, kind: str = "forget", **more: str) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """The fields of the form as a browser sends them."""
    data = {"kind": kind, "regulation": "gdpr", "reference": "", "submit": "1"} | more
    for number, fact in enumerate(facts):
        data |= {
            f"facts-{number}-prompt": fact.prompt,
            f"facts-{number}-answer": fact.answer,
            f"facts-{number}-subject": fact.subject,
            f"facts-{number}-aliases": ", ".join(fact.aliases),
        }
    return data


def test_submitted_request_is_in_the_store(requester: FlaskClient, scenario: Scenario) -> None:
    scenario.write(ANA, BEN)
    answer = requester.post("/requests/new", data=form(ANA, BEN, regulation="ccpa", reference="DSR-1"))
    assert answer.status_code == 302
    request_id = answer.location.rsplit("/", 1)[-1]
    with scenario.database.session(read_only=True) as session:
        item = requests.get(session, request_id)
        facts = requests.facts_of(session, scenario.vault, request_id)
    assert (item.state, item.kind, item.regulation, item.reference) == ("received", "forget", "ccpa", "DSR-1")
    assert [fact.text for fact in facts] == [ANA, BEN]
    assert "was received" in requester.get(answer.location).text


def test_unknown_fact_is_named_beside_its_field_and_input_is_kept(
    requester: FlaskClient, scenario: Scenario
) -> None:
    scenario.write(ANA)
    answer = requester.post("/requests/new", data=form(ANA, BEN, reference="KEEP-ME"))
    assert answer.status_code == 409
    assert "Fact 2: The memory holds no fact with exactly this prompt and answer." in answer.text
    assert 'id="facts-1-prompt-error-1"' in answer.text
    assert 'id="facts-0-prompt-error-1"' not in answer.text
    assert 'value="Port Harcourt"' in answer.text
    assert 'value="KEEP-ME"' in answer.text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"facts-0-prompt": ""}, "Fact 1: Give the prompt."),
        ({"facts-0-answer": ""}, "Fact 1: Give the answer."),
        ({"facts-0-prompt": "x" * 401}, "is longer than 400 characters"),
        ({"facts-0-answer": "a\nb"}, "control character"),
        ({"reference": "has spaces"}, "Use letters, digits, dots, dashes and underscores only."),
        ({"reference": "x" * 65}, "at most 64 characters"),
        ({"regulation": "martial"}, "Not a valid choice"),
        ({"kind": "burn"}, "Not a valid choice"),
    ],
)
def test_every_wrong_field_is_named(requester: FlaskClient, change: dict[str, str], sentence: str) -> None:
    answer = requester.post("/requests/new", data=form(ANA, kind="censor") | change)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'role="alert"' in answer.text


def test_rows_are_added_and_removed_without_losing_input(requester: FlaskClient) -> None:
    more = requester.post("/requests/new", data=form(ANA) | {"add_fact": "1"}).text
    assert 'name="facts-1-prompt"' in more
    assert "Ana Reyes" in more
    fewer = requester.post("/requests/new", data=form(ANA, BEN) | {"remove_fact": "0"}).text
    assert "Ana Reyes is" not in re.sub(r"<p class=\"hint\".*?</p>", "", fewer)
    assert "Ben Okafor was born in" in fewer
    assert 'name="facts-1-prompt"' not in fewer


@pytest.mark.parametrize("place", ["/requests/new", "/facts/new"])
@pytest.mark.parametrize(
    "odd",
    [
        {"remove_fact": "9" * 5000},
        {"remove_fact": "²"},
        {"facts-²-prompt": "x"},
        {f"facts-{'9' * 5000}-prompt": "x"},
    ],
    ids=range(4),
)
def test_odd_numbers_of_rows_change_nothing(reviewer: FlaskClient, place: str, odd: dict[str, str]) -> None:
    answer = reviewer.post(place, data=form(ANA, BEN) | {"add_fact": "1"} | odd)
    assert answer.status_code == 200
    assert "Ana Reyes is" in answer.text
    assert "Ben Okafor was born in" in answer.text


def test_many_names_of_a_subject_are_split_at_commas(requester: FlaskClient, scenario: Scenario) -> None:
    data = form(ANA, kind="censor") | {"facts-0-aliases": "A. Reyes, Anita ,, "}
    request_id = requester.post("/requests/new", data=data).location.rsplit("/", 1)[-1]
    with scenario.database.session(read_only=True) as session:
        assert requests.facts_of(session, scenario.vault, request_id)[0].text.aliases == ("A. Reyes", "Anita")


def test_auditors_cannot_submit(auditor: FlaskClient) -> None:
    assert auditor.get("/requests/new").status_code == 403
    assert auditor.post("/requests/new", data=form(ANA, kind="censor")).status_code == 403


def test_no_answer_falls_due_on_a_holiday_that_the_operator_lists(
    app: APIFlask, requester: FlaskClient, bearer: Callable[..., dict[str, str]], scenario: Scenario
) -> None:
    known = app.extensions["unwrite"]
    holidays = frozenset({clocks.due_at("gdpr", clocks.now()).date()})
    app.extensions["unwrite"] = replace(
        known, settings=known.settings.model_copy(update={"holidays": holidays})
    )
    requester.post("/requests/new", data=form(ANA, kind="censor"))
    call = {"kind": "censor", "facts": [{"prompt": BEN.prompt, "answer": BEN.answer}]}
    app.test_client().post("/api/v1/requests", json=call, headers=bearer("requester"))
    with scenario.database.session(read_only=True) as session:
        made = requests.list_requests(session).items
    assert len(made) == 2
    assert all(row.due_at == clocks.due_at("gdpr", row.received_at, holidays) for row in made)
    assert all(row.due_at.date() not in holidays for row in made)
