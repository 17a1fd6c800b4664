"""Re-checks: scheduled on audited requests, run at once, cancelled; over the pages and the API."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import jobs, rechecks, requests
from store.models import User
from tests.web.scenario import ANA, BEN, WORKER, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


def test_schedule_run_and_cancel_on_the_page(
    reviewer: FlaskClient, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor", reference="CASE-9")
    assert "CASE-9" in reviewer.get("/rechecks").text
    done = reviewer.post("/rechecks", data={"request_id": item.id, "every_days": "30"}, follow_redirects=True)
    assert "again every 30 days" in done.text
    with scenario.database.session(read_only=True) as session:
        (row,) = rechecks.list_rechecks(session).items
    assert "is queued" in reviewer.post(f"/rechecks/{row.id}/run", follow_redirects=True).text
    assert len(wakes) == 1
    assert "every 30 days" in reviewer.get(f"/requests/{item.id}").text
    assert "was cancelled" in reviewer.post(f"/rechecks/{row.id}/cancel", follow_redirects=True).text
    assert f"/rechecks/{row.id}/cancel" not in reviewer.get("/rechecks").text


@pytest.mark.parametrize("days", ["0", "367", "x", ""])
def test_odd_intervals_are_named(reviewer: FlaskClient, scenario: Scenario, users: Users, days: str) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    answer = reviewer.post("/rechecks", data={"request_id": item.id, "every_days": days})
    assert answer.status_code == 422
    assert 'id="every_days-error-1"' in answer.text


def test_unfinished_request_cannot_be_scheduled(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    answer = reviewer.post("/rechecks", data={"request_id": item.id, "every_days": "30"})
    assert answer.status_code == 422
    assert "Choose a completed request." in answer.text


def test_the_api_does_the_same(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    client, headers = app.test_client(), bearer("requester")
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    made = client.post(f"/api/v1/requests/{item.id}/rechecks", json={"every_days": 7}, headers=headers)
    assert made.status_code == 201
    assert [row["id"] for row in client.get("/api/v1/rechecks", headers=headers).json["items"]] == [
        made.json["id"]
    ]
    run = client.post(f"/api/v1/rechecks/{made.json['id']}/run", headers=headers)
    assert (run.status_code, run.json["kind"]) == (202, "recheck")
    assert wakes == [(run.json["id"], "model")]
    stopped = client.post(f"/api/v1/rechecks/{made.json['id']}/cancel", headers=headers)
    assert stopped.json["active"] is False


def test_a_running_recheck_is_stopped_and_its_schedule_goes_on(
    app: APIFlask, reviewer: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 30, users["reviewer"].id)
    stop = f"/rechecks/{row.id}/stop"
    assert stop not in reviewer.get("/rechecks").text
    assert "No audit of this re-check is running" in reviewer.post(stop, follow_redirects=True).text
    reviewer.post(f"/rechecks/{row.id}/run")
    assert stop in reviewer.get("/rechecks").text
    assert "stops at its next batch" in reviewer.post(stop, follow_redirects=True).text
    assert stop not in reviewer.get("/rechecks").text
    assert "Running re-check stopped" in reviewer.get(f"/requests/{item.id}").text
    reviewer.post(f"/rechecks/{row.id}/run")
    answer = app.test_client().post(f"/api/v1{stop}", headers=bearer("reviewer"))
    assert (answer.status_code, answer.json["active"]) == (200, True)
    with scenario.database.session(read_only=True) as session:
        assert rechecks.under_way(session, [row.id]) == set()


def test_requesters_do_not_see_rechecks_of_others(
    app: APIFlask, requester: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["reviewer"], BEN, kind="censor", reference="HIDDEN")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 30, users["reviewer"].id)
    assert "HIDDEN" not in requester.get("/rechecks").text
    assert requester.post(f"/rechecks/{row.id}/cancel").status_code == 404
    headers = bearer("requester")
    assert app.test_client().get("/api/v1/rechecks", headers=headers).json["items"] == []
    assert app.test_client().post(f"/api/v1/rechecks/{row.id}/run", headers=headers).status_code == 404


def ended(scenario: Scenario, recheck_id: str, error: str = "") -> None:
    """A worker runs a re-check, to its end or until it fails for good."""
    with scenario.database.session() as session:
        job = rechecks.run_now(session, recheck_id, actor=WORKER)
        jobs.claim(session, job.id, WORKER, 60)
        if error:
            jobs.fail(session, job.id, WORKER, error, retry=False)
        else:
            jobs.finish(session, job.id, WORKER)


def test_a_run_that_failed_is_not_hidden_by_an_earlier_pass(
    app: APIFlask, reviewer: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor", reference="CASE-9")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 1, users["reviewer"].id)

    def told() -> dict[str, object] | None:
        (found,) = app.test_client().get("/api/v1/rechecks", headers=bearer("auditor")).json["items"]
        last: dict[str, object] | None = found["last_run"]
        return last

    assert told() is None
    ended(scenario, row.id)
    scenario.reported(item.id, b"{}", recheck_id=row.id)
    passed = '<span class="badge green">Pass</span>'
    assert passed in reviewer.get("/rechecks").text
    assert (told() or {})["state"] == "done"
    assert "CASE-9" not in reviewer.get("/requests?view=attention").text

    ended(scenario, row.id, "OutOfMemoryError")
    page = reviewer.get("/rechecks").text
    assert passed not in page
    assert "Last run failed" in page
    assert "OutOfMemoryError" in page
    assert "Last report: Pass" in page
    last = told() or {}
    assert (last["state"], last["error_class"]) == ("failed", "OutOfMemoryError")
    assert "The re-check was not finished" in reviewer.get(f"/requests/{item.id}").text
    queue = reviewer.get("/requests?view=attention").text
    assert "CASE-9" in queue
    assert "Re-check failed" in queue
    assert "<b>1</b><span>need attention</span>" in queue
    assert item.id in reviewer.get("/requests.csv?view=attention").text

    with scenario.database.session() as session:
        rechecks.run_now(session, row.id, actor=users["reviewer"].id)
        rechecks.stop(session, row.id, actor=users["reviewer"].id)
    assert "Last run stopped" in reviewer.get("/rechecks").text
    assert "<b>0</b><span>need attention</span>" in reviewer.get("/requests").text
    ended(scenario, row.id)
    assert passed in reviewer.get("/rechecks").text


def test_a_run_that_does_not_pass_asks_for_attention_until_one_does(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor", reference="CASE-9")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 1, users["reviewer"].id)
    for verdict, told in (("fail", 1), ("inconclusive", 0), ("fail", 1), ("pass", 0)):
        ended(scenario, row.id)
        scenario.reported(item.id, b"{}", recheck_id=row.id, verdict=verdict)
        queue = reviewer.get("/requests?view=attention").text
        assert f"<b>{told}</b><span>need attention</span>" in queue
        assert ("Re-check did not pass" in queue) == bool(told), verdict


def test_a_leak_that_was_accepted_is_no_news(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor", verdict="fail")
    with scenario.database.session() as session:
        requests.accept(session, item.id, actor=users["reviewer"].id, reason="Public record.")
        row = rechecks.schedule(session, item.id, 1, users["reviewer"].id)
    scenario.reported(item.id, b"{}", recheck_id=row.id, verdict="fail")
    assert "<b>0</b><span>need attention</span>" in reviewer.get("/requests").text


def test_requesters_are_alerted_of_their_own_rechecks_only(
    requester: FlaskClient, scenario: Scenario, users: Users
) -> None:
    theirs, _ = scenario.completed(users["reviewer"], BEN, kind="censor")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, theirs.id, 1, users["reviewer"].id)
    ended(scenario, row.id, "OutOfMemoryError")
    page = requester.get("/requests?view=attention").text
    assert "<b>0</b><span>need attention</span>" in page
    assert theirs.id not in page


def test_a_double_click_schedules_once_and_leads_to_what_is_scheduled(
    app: APIFlask, reviewer: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    for _ in range(2):
        answer = reviewer.post("/rechecks", data={"request_id": item.id, "every_days": "30"})
    assert answer.location == f"/requests/{item.id}#recheck-heading"
    page = reviewer.get(answer.location).text
    assert "has a re-check already" in page
    assert "Audited again every 30 days" in page
    path, headers = f"/api/v1/requests/{item.id}/rechecks", bearer("reviewer")
    refused = app.test_client().post(path, json={"every_days": 7}, headers=headers)
    assert (refused.status_code, refused.json["code"]) == (409, "already_scheduled")
    assert "Cancel it first" in refused.json["detail"]


def test_a_cancelled_recheck_is_not_run_again(
    app: APIFlask,
    reviewer: FlaskClient,
    bearer: Bearer,
    scenario: Scenario,
    users: Users,
    wakes: list[tuple[str, str]],
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 30, users["reviewer"].id)
        rechecks.cancel(session, row.id, actor=users["reviewer"].id)
    refused = app.test_client().post(f"/api/v1/rechecks/{row.id}/run", headers=bearer("reviewer"))
    assert (refused.status_code, refused.json["code"]) == (409, "recheck_cancelled")
    assert "Schedule a new one" in refused.json["detail"]
    page = reviewer.post(f"/rechecks/{row.id}/run", follow_redirects=True).text
    assert "Schedule a new one" in page
    assert wakes == []


def test_a_long_list_is_paged_on_the_page_and_over_the_api(
    app: APIFlask, auditor: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        for days in range(1, 54):
            row = rechecks.schedule(session, item.id, days, users["reviewer"].id)
            rechecks.cancel(session, row.id, actor=users["reviewer"].id)
    client, headers = app.test_client(), bearer("auditor")
    first = client.get("/api/v1/rechecks", headers=headers).json
    assert [row["every_days"] for row in first["items"]] == list(range(1, 51))
    rest = client.get(f"/api/v1/rechecks?limit=9&cursor={first['next_cursor']}", headers=headers).json
    assert [row["every_days"] for row in rest["items"]] == [51, 52, 53]
    assert rest["next_cursor"] is None
    assert client.get("/api/v1/rechecks?cursor=nonsense", headers=headers).status_code == 422

    page = auditor.get("/rechecks").text
    assert ("50 days" in page, "51 days" in page) == (True, False)
    following = re.search(r'href="(/rechecks\?cursor=[^"]+)"', page)
    assert following
    page = auditor.get(following[1]).text
    assert ("50 days" in page, "53 days" in page) == (False, True)
    assert "cursor=" not in page
    assert auditor.get("/rechecks?cursor=nonsense").location == "/rechecks"
