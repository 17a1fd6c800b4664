"""Two reports side by side and all audits in a row: made from the stored JSON, for who may read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import audits, rechecks, retention
from store.models import User
from tests.audit.fakes import NOW, report
from tests.web.scenario import ANA, BEN, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]
BEFORE = report("censor", 3, after=0.4, produced_at=NOW - timedelta(days=30))[0]
AFTER = report("censor", 3, after=0.0)[0]


@pytest.fixture
def audited(scenario: Scenario, users: Users) -> tuple[str, str, str]:
    """A request that was audited twice: its id, and its two reports."""
    item, first = scenario.completed(users["requester"], ANA, kind="censor", data=BEFORE.to_json())
    return item.id, first, scenario.reported(item.id, AFTER.to_json())


def test_a_report_links_to_its_comparison_and_the_page_frames_it(
    auditor: FlaskClient, audited: tuple[str, str, str]
) -> None:
    _, first, second = audited
    address = f"/reports/{first}/compare/{second}"
    assert f'href="{address}"' in auditor.get(f"/reports/{second}").text
    assert f'href="{address}"' in auditor.get(f"/reports/{first}").text, "always from the older to the newer"
    page = auditor.get(address).text
    assert f'src="{address}/document"' in page
    assert "sandbox" in page
    answer = auditor.get(f"{address}/document")
    assert "the rate is lower in B" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text


def test_the_api_gives_both_forms(app: APIFlask, bearer: Bearer, audited: tuple[str, str, str]) -> None:
    _, first, second = audited
    client, headers = app.test_client(), bearer("auditor")
    found = client.get(f"/api/v1/reports/{first}/compare/{second}.json", headers=headers)
    assert found.json["groups"][0]["kind"] == "censor"
    assert (
        client.get(f"/api/v1/reports/{first}/compare/{second}.html", headers=headers).mimetype == "text/html"
    )


def test_the_trend_stands_behind_the_recheck(
    app: APIFlask,
    auditor: FlaskClient,
    bearer: Bearer,
    scenario: Scenario,
    users: Users,
    audited: tuple[str, str, str],
) -> None:
    request_id, _, second = audited
    with scenario.database.session() as session:
        row = rechecks.schedule(session, request_id, 30, users["reviewer"].id)
    link = f'href="/requests/{request_id}/trend"'
    assert link not in auditor.get("/rechecks").text, "it has not run yet"
    scenario.reported(request_id, AFTER.to_json(), recheck_id=row.id)
    assert link in auditor.get("/rechecks").text
    assert f'href="/requests/{request_id}/trend"' in auditor.get(f"/reports/{second}").text
    assert f'src="/requests/{request_id}/trend/document"' in auditor.get(f"/requests/{request_id}/trend").text
    drawn = auditor.get(f"/requests/{request_id}/trend/document").text
    assert "<svg" in drawn
    assert "24 October 2026" in drawn
    points = auditor.get(f"/requests/{request_id}/trend.json").json["points"]
    assert [point["look"]["leaked"] > 0 for point in points] == [True, False, False]
    assert points[2]["attempts_so_far"] == 3 * 105
    headers = bearer("auditor")
    assert (
        app.test_client().get(f"/api/v1/requests/{request_id}/trend.json", headers=headers).json["points"]
        == points
    )


def test_the_trend_says_how_many_audits_left_no_report(
    auditor: FlaskClient, scenario: Scenario, audited: tuple[str, str, str]
) -> None:
    request_id, _, _ = audited
    with scenario.database.session() as session:
        job_id = audits.runs_of(session, request_id)[0].job_id
        for step, end in (("state", "failed"), ("before", "stopped"), ("after.frame", "stopped")):
            run = audits.start_run(session, scenario.vault, request_id=request_id, job_id=job_id)
            audits.save_phase(session, scenario.vault, run.id, step, {}, None)
            audits.end_run(session, run.id, end, actor="worker")
    page = auditor.get(f"/requests/{request_id}/trend/document").text
    assert "2 audits of this request attacked too" in page
    assert "these figures are a selection" in page
    assert auditor.get(f"/requests/{request_id}/trend.json").json["unreported"] == 2


def test_figures_outlive_the_texts(
    auditor: FlaskClient, scenario: Scenario, users: Users, audited: tuple[str, str, str]
) -> None:
    request_id, first, second = audited
    with scenario.database.session() as session:
        retention.destroy_texts(session, scenario.vault, request_id, actor=users["admin"].id)
    assert auditor.get(f"/reports/{first}/compare/{second}/document").status_code == 200
    assert auditor.get(f"/requests/{request_id}/trend/document").status_code == 200


def test_a_report_of_another_version_is_named_and_not_a_crash(
    auditor: FlaskClient, scenario: Scenario, users: Users, audited: tuple[str, str, str]
) -> None:
    request_id, first, _ = audited
    other = scenario.reported(request_id, b'{"verdict": "pass"}')
    answer = auditor.get(f"/reports/{first}/compare/{other}")
    assert answer.status_code == 409
    assert "another version" in answer.text
    assert (
        "1 report of this request cannot be read"
        in auditor.get(f"/requests/{request_id}/trend/document").text
    )
    alone, _ = scenario.completed(users["requester"], BEN, kind="censor")
    assert auditor.get(f"/requests/{alone.id}/trend").status_code == 404


def test_requesters_compare_reports_of_their_own_only(
    requester: FlaskClient, scenario: Scenario, users: Users, audited: tuple[str, str, str]
) -> None:
    _, mine, _ = audited
    item, theirs = scenario.completed(users["reviewer"], BEN, kind="censor", data=AFTER.to_json())
    for path in (
        f"/reports/{mine}/compare/{theirs}",
        f"/reports/{theirs}/compare/{mine}/document",
        f"/reports/{mine}/compare/{theirs}.json",
        f"/requests/{item.id}/trend/document",
    ):
        assert requester.get(path).status_code == 404
