"""The bank's page and the form that writes facts."""

from __future__ import annotations

from flask.testing import FlaskClient

from store import facts
from tests.web.scenario import ANA, BEN, Scenario
from tests.web.test_request_form import form


def test_empty_memory_says_what_to_do(reviewer: FlaskClient, auditor: FlaskClient) -> None:
    assert 'href="/facts/new"' in reviewer.get("/facts").text
    page = auditor.get("/facts").text
    assert "The memory is empty" in page
    assert 'href="/facts/new"' not in page


def test_written_facts_are_queued_and_a_worker_is_woken(
    reviewer: FlaskClient, scenario: Scenario, wakes: list[tuple[str, str]]
) -> None:
    answer = reviewer.post("/facts/new", data=form(ANA, BEN), follow_redirects=True)
    assert "2 facts queued" in answer.text
    assert len(wakes) == 1
    with scenario.database.session(read_only=True) as session:
        assert {fact.state for fact in facts.list_facts(session, "default").items} == {"pending"}
    assert "Waiting for a worker" in reviewer.get("/facts").text


def test_known_fact_is_named_beside_its_field(reviewer: FlaskClient, scenario: Scenario) -> None:
    scenario.write(BEN)
    answer = reviewer.post("/facts/new", data=form(ANA, BEN))
    assert answer.status_code == 409
    assert "Fact 2: This fact is listed twice, or it is there already." in answer.text


def test_page_shows_counts_revision_and_digest_but_no_text(auditor: FlaskClient, scenario: Scenario) -> None:
    scenario.write(ANA, BEN)
    page = auditor.get("/facts").text
    assert "<b>2</b><span>in memory</span>" in page
    assert "0" * 63 + "1" in page
    assert "Basque" not in page
    assert "Okafor" not in page


def test_requesters_have_no_facts_page(requester: FlaskClient) -> None:
    assert requester.get("/facts").status_code == 403
    assert 'href="/facts"' not in requester.get("/requests").text
