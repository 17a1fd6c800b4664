"""The queue: most urgent first, filters in the address, only one's own for requesters, and CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from store import requests
from store.clocks import now
from store.models import User
from tests.web.scenario import ANA, BEN, Scenario

Users = dict[str, User]


def receive(scenario: Scenario, user: User, text, days_ago: int, reference: str) -> str:  # type: ignore[no-untyped-def]
    submission = requests.Submission(kind="censor", facts=[text], reference=reference)
    with scenario.database.session() as session:
        received_at = now() - timedelta(days=days_ago)
        return requests.submit(session, scenario.vault, submission, actor=user.id, received_at=received_at).id


def test_overdue_stands_first_and_says_so(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    receive(scenario, users["requester"], ANA, 1, "FRESH")
    receive(scenario, users["requester"], BEN, 50, "LATE")
    page = reviewer.get("/requests").text
    assert page.index("LATE") < page.index("FRESH")
    assert re.search(r"Overdue by \d+ days", page)


def test_filters_select_by_state_and_kind(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    scenario.write(ANA)
    scenario.submit(users["requester"], ANA, reference="TO-FORGET")
    scenario.submit(users["requester"], BEN, kind="censor", reference="TO-CENSOR")
    assert "TO-CENSOR" not in reviewer.get("/requests?kind=forget").text
    assert "TO-FORGET" in reviewer.get("/requests?view=decide&kind=forget").text
    assert "No request matches this filter" in reviewer.get("/requests?view=closed").text


def test_empty_queue_says_what_to_do_next(reviewer: FlaskClient, auditor: FlaskClient) -> None:
    assert "Write facts" in reviewer.get("/requests").text
    assert "No requests yet" in auditor.get("/requests").text
    assert 'href="/requests/new"' not in auditor.get("/requests").text


def test_requesters_see_only_their_own(
    requester: FlaskClient, reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    theirs = scenario.submit(users["reviewer"], ANA, kind="censor", reference="NOT-YOURS")
    scenario.submit(users["requester"], BEN, kind="censor", reference="YOURS")
    page = requester.get("/requests?view=all").text
    assert "YOURS" in page
    assert "NOT-YOURS" not in page
    assert requester.get(f"/requests/{theirs.id}").status_code == 404
    assert "NOT-YOURS" in reviewer.get("/requests?view=all").text


def test_long_queue_is_paged(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    for number in range(53):
        receive(
            scenario, users["requester"], type(ANA)(f"Prompt {number}", "x"), number % 20, f"CASE-{number}-"
        )
    first = reviewer.get("/requests").text
    following = re.search(r'href="([^"]*cursor=[^"]*)"', first)
    assert following
    second = reviewer.get(following[1].replace("&amp;", "&")).text
    shown = set(re.findall(r"CASE-\d+-", first)) | set(re.findall(r"CASE-\d+-", second))
    assert len(shown) == 53


@pytest.mark.parametrize("query", ["view=nonsense", "kind=nonsense", "cursor=nonsense", "cursor=%00"])
def test_broken_addresses_lead_to_a_working_queue(reviewer: FlaskClient, query: str) -> None:
    assert reviewer.get(f"/requests?{query}", follow_redirects=True).status_code == 200


def test_csv_holds_the_register_and_no_text(auditor: FlaskClient, scenario: Scenario, users: Users) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor", reference="-1")
    answer = auditor.get("/requests.csv?view=all")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[0]["id"] == item.id
    assert rows[0]["state"] == "received"
    assert rows[0]["facts"] == "1"
    assert rows[0]["reference"] == "'-1"  # a spreadsheet must not read it as a formula
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "Ana Reyes" not in answer.text


def test_the_register_is_offered_whole_under_every_filter(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    scenario.submit(users["requester"], BEN, kind="censor", reference="TO-CENSOR")
    for query, offered in (
        ("", ["view=open", "view=all"]),
        ("?view=all&kind=censor", ["view=all&amp;kind=censor", "view=all"]),
        ("?view=all", ["view=all"]),
    ):
        found = re.findall(r'href="/requests\.csv\?([^"]+)"', reviewer.get(f"/requests{query}").text)
        assert found == offered
