"""Reports: what the workers stored comes out unchanged, in a sandbox, for who may read it."""

from __future__ import annotations

from collections.abc import Callable

from apiflask import APIFlask
from flask.testing import FlaskClient

from store import retention
from store.models import User
from tests.audit.fakes import report
from tests.web.conftest import SignIn
from tests.web.scenario import ANA, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


def test_report_page_frames_the_stored_document(
    auditor: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    page = auditor.get(f"/reports/{report_id}").text
    assert f'src="/reports/{report_id}/document"' in page
    assert "sandbox" in page
    assert f'href="/reports/{report_id}"' in auditor.get(f"/requests/{item.id}").text


def test_document_runs_no_script_and_is_framed_by_this_site_only(
    requester: FlaskClient, scenario: Scenario, users: Users
) -> None:
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    answer = requester.get(f"/reports/{report_id}/document")
    assert answer.data == b"<p>report</p>"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox" in policy
    assert "allow-scripts" not in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert answer.headers["Cache-Control"] == "no-store"


def test_documents_are_the_stored_bytes(
    app: APIFlask, auditor: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    headers = bearer("auditor")
    listed = app.test_client().get(f"/api/v1/requests/{item.id}/reports", headers=headers).json["items"]
    assert [(entry["id"], entry["verdict"]) for entry in listed] == [(report_id, "pass")]
    for answer in (
        app.test_client().get(f"/api/v1/reports/{report_id}.json", headers=headers),
        auditor.get(f"/reports/{report_id}.json"),
    ):
        assert answer.data == b'{"verdict": "pass"}'
        assert answer.mimetype == "application/json"
    html = app.test_client().get(f"/api/v1/reports/{report_id}.html", headers=bearer("reviewer"))
    assert html.data == b"<p>report</p>"


def test_texts_are_shown_only_to_who_decides_and_who_submitted(
    app: APIFlask, sign_in: SignIn, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    figures = report("censor", 1)[0].to_json()
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor", data=figures)
    for role, sees in (("reviewer", True), ("admin", True), ("requester", True), ("auditor", False)):
        for answer in (
            sign_in(role).get(f"/reports/{report_id}/document"),
            app.test_client().get(f"/api/v1/reports/{report_id}.html", headers=bearer(role)),
        ):
            assert (answer.data == b"<p>report</p>") is sees
            assert ("Facts are named by their opaque ids" in answer.text) is not sees
            assert ("without-texts" in answer.headers["Content-Disposition"]) is not sees
    narrow = bearer("reviewer", "reports:read")
    assert b"<p>report" not in app.test_client().get(f"/api/v1/reports/{report_id}.html", headers=narrow).data


def test_a_report_of_another_version_is_refused_rather_than_shown_with_texts(
    auditor: FlaskClient, scenario: Scenario, users: Users
) -> None:
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    assert auditor.get(f"/reports/{report_id}/document").status_code == 409


def test_reports_need_their_own_right(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    _, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    answer = app.test_client().get(
        f"/api/v1/reports/{report_id}.html", headers=bearer("auditor", "requests:read")
    )
    assert answer.status_code == 403


def test_destroyed_report_is_gone_but_its_figures_stay(
    app: APIFlask, auditor: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        retention.destroy_texts(session, scenario.vault, item.id, actor=users["admin"].id)
    assert "was destroyed" in auditor.get(f"/reports/{report_id}").text
    gone = app.test_client().get(f"/api/v1/reports/{report_id}.html", headers=bearer("auditor"))
    assert (gone.status_code, gone.json["code"]) == (410, "texts_destroyed")
    assert auditor.get(f"/reports/{report_id}.json").status_code == 200


def test_requesters_read_reports_of_their_own_only(
    requester: FlaskClient, scenario: Scenario, users: Users
) -> None:
    _, theirs = scenario.completed(users["reviewer"], ANA, kind="censor")
    for path in (f"/reports/{theirs}", f"/reports/{theirs}/document", f"/reports/{theirs}.json"):
        assert requester.get(path).status_code == 404
