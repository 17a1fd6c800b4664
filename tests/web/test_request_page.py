"""One request's page: who sees the text, which buttons there are, what they do, and the live progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from store import events, jobs, rechecks, requests, retention, states
from store.models import User
from tests.web.scenario import ANA, BEN, WORKER, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


def press(client: FlaskClient, request_id: str, step: str, **data: str) -> str:
    return client.post(f"/requests/{request_id}/{step}", data=data, follow_redirects=True).text


def test_reviewer_sees_the_text_auditor_does_not(
    reviewer: FlaskClient, auditor: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    assert "Basque" in reviewer.get(f"/requests/{item.id}").text
    page = auditor.get(f"/requests/{item.id}").text
    assert "Basque" not in page
    assert "Ana Reyes" not in page
    assert "shown only to reviewers" in page


def test_approval_queues_a_job_and_wakes_a_worker(
    reviewer: FlaskClient, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    page = press(reviewer, item.id, "approve", version="1")
    assert scenario.state(item.id) == "approved"
    with scenario.database.session(read_only=True) as session:
        (job,) = jobs.of_request(session, item.id)
    assert wakes == [(job.id, "model")]
    assert "Waiting for a worker" in page
    assert "hx-get" in page


def test_submitter_cannot_approve_and_is_told_why(
    reviewer: FlaskClient, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item = scenario.submit(users["reviewer"], ANA, kind="censor")
    page = reviewer.get(f"/requests/{item.id}").text
    assert "another reviewer must approve" in page
    assert f"/requests/{item.id}/approve" not in page
    assert "Ask another reviewer" in press(reviewer, item.id, "approve")
    assert scenario.state(item.id) == "received"
    assert wakes == []


@pytest.mark.parametrize("step", ["approve", "deny", "retry", "accept"])
@pytest.mark.parametrize("role", ["requester", "auditor"])
def test_only_reviewers_decide(sign_in, scenario: Scenario, users: Users, role: str, step: str) -> None:  # type: ignore[no-untyped-def]
    item = scenario.submit(users["requester"], ANA, kind="censor")
    client = sign_in(role)
    assert f"/requests/{item.id}/{step}" not in client.get(f"/requests/{item.id}").text
    assert client.post(f"/requests/{item.id}/{step}", data={"reason": "x"}).status_code == 403
    assert scenario.state(item.id) == "received"


def test_requester_withdraws_their_own(requester: FlaskClient, scenario: Scenario, users: Users) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    assert "was cancelled" in press(requester, item.id, "cancel")
    assert scenario.state(item.id) == "cancelled"


def test_auditor_cannot_cancel(auditor: FlaskClient, scenario: Scenario, users: Users) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    assert auditor.post(f"/requests/{item.id}/cancel").status_code == 403


def test_denial_needs_a_reason_and_the_timeline_quotes_it(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    refused = reviewer.post(f"/requests/{item.id}/deny", data={"reason": "   "})
    assert refused.status_code == 422
    assert 'id="deny-reason-error"' in refused.text
    page = press(reviewer, item.id, "deny", reason="Could not be identified.")
    assert scenario.state(item.id) == "denied"
    assert "<blockquote>Could not be identified.</blockquote>" in page


def test_too_long_reason_is_kept_in_the_form(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    refused = reviewer.post(f"/requests/{item.id}/deny", data={"reason": "because " * 300})
    assert refused.status_code == 422
    assert "because because" in refused.text
    assert "longer than 2000 characters" in refused.text


def test_residual_leak_is_repaired_again_or_accepted_with_a_reason(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, verdict="fail", kind="censor")
    page = reviewer.get(f"/requests/{item.id}").text
    assert "The audit did not pass" in page
    assert "Repair again" in page
    assert reviewer.post(f"/requests/{item.id}/accept", data={"reason": ""}).status_code == 422
    page = press(reviewer, item.id, "accept", reason="Only a guess.")
    assert scenario.state(item.id) == "completed"
    assert "leak accepted" in page
    assert "found no leak" not in page


def test_submitter_cannot_accept_a_leak_and_is_told_why(
    app: APIFlask, reviewer: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["reviewer"], ANA, verdict="fail", kind="censor")
    page = reviewer.get(f"/requests/{item.id}").text
    assert "another reviewer must accept" in page
    assert f"/requests/{item.id}/retry" in page
    assert f"/requests/{item.id}/accept" not in page
    assert "Ask another reviewer" in press(reviewer, item.id, "accept", reason="Only a guess.")
    place, headers = f"/api/v1/requests/{item.id}", bearer("reviewer")
    assert app.test_client().get(place, headers=headers).json["allowed"] == ["retry"]
    answer = app.test_client().post(f"{place}/accept", json={"reason": "A guess."}, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "same_person")
    assert scenario.state(item.id) == "residual"


def test_submitter_accepts_a_leak_where_the_operator_allows_it(
    app: APIFlask, reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    known = app.extensions["unwrite"]
    alone = known.settings.model_copy(update={"allow_self_approval": True})
    app.extensions["unwrite"] = replace(known, settings=alone)
    item, _ = scenario.completed(users["reviewer"], ANA, verdict="fail", kind="censor")
    assert f"/requests/{item.id}/accept" in reviewer.get(f"/requests/{item.id}").text
    press(reviewer, item.id, "accept", reason="Only a guess.")
    assert scenario.state(item.id) == "completed"


def rechecked_for_years(scenario: Scenario, request_id: str, times: int) -> None:
    """What so many re-checks leave in the log of a request, and an alert at the end."""
    with scenario.database.session() as session:
        for _ in range(times):
            events.append(session, "job.retried", actor=WORKER, request_id=request_id)
        events.append(session, "recheck.alert", actor=WORKER, request_id=request_id)


def test_however_long_the_history_the_page_shows_its_end_and_what_was_decided(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, verdict="fail", kind="censor")
    rechecked_for_years(scenario, item.id, 1010)
    press(reviewer, item.id, "accept", reason="Only a guess.")
    rechecked_for_years(scenario, item.id, 250)
    page = reviewer.get(f"/requests/{item.id}").text
    assert "leak accepted" in page
    assert "Only a guess." in page
    assert "found no leak" not in page
    assert "The re-check did not pass" in page
    assert page.count("Attempt failed; trying again") == 199
    assert f"/api/v1/requests/{item.id}/events" in page


def test_the_progress_of_a_request_that_failed_after_its_change_says_so_however_long_ago(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, verdict="fail", kind="censor")
    rechecked_for_years(scenario, item.id, 250)
    press(reviewer, item.id, "retry")
    with scenario.database.session() as session:
        states.transition(session, item.id, "give_up", actor=WORKER)
    assert '<li class="bad" aria-current="step">Audit</li>' in reviewer.get(f"/requests/{item.id}").text


def test_a_short_history_is_told_whole(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    assert "/events" not in reviewer.get(f"/requests/{item.id}").text


def test_what_changed_the_memory_is_not_cancelled_on_its_way_through_another_audit(
    app: APIFlask, reviewer: FlaskClient, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, verdict="fail", kind="censor")
    page = press(reviewer, item.id, "retry")
    assert scenario.state(item.id) == "approved"
    assert f"/requests/{item.id}/cancel" not in page
    assert "cannot be undone" in press(reviewer, item.id, "cancel")
    place, headers = f"/api/v1/requests/{item.id}", bearer("requester")
    assert app.test_client().get(place, headers=headers).json["allowed"] == []
    answer = app.test_client().post(f"{place}/cancel", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (409, "already_applied")
    assert scenario.state(item.id) == "approved"


def test_failed_request_is_tried_again(
    reviewer: FlaskClient, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    job_id = scenario.approve(users["reviewer"], item.id)
    scenario.start(item.id, job_id)
    with scenario.database.session() as session:
        jobs.fail(session, job_id, WORKER, "ConnectionError", retry=False)
    assert "The work failed" in reviewer.get(f"/requests/{item.id}").text
    press(reviewer, item.id, "retry")
    assert scenario.state(item.id) == "approved"
    assert len(wakes) == 1


def test_decision_on_an_outdated_page_changes_nothing(
    reviewer: FlaskClient, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        requests.deny(session, item.id, actor=users["admin"].id, reason="No.")
    page = press(reviewer, item.id, "approve", version="1")
    assert 'class="notice warn"' in page
    assert scenario.state(item.id) == "denied"
    assert wakes == []


@pytest.mark.parametrize("version", ["9" * 5000, "9" * 12, "²", "-1", "one"], ids=range(5))
def test_version_that_no_page_shows_decides_nothing(
    reviewer: FlaskClient, scenario: Scenario, users: Users, version: str
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    assert 'class="notice warn"' in press(reviewer, item.id, "approve", version=version)
    assert scenario.state(item.id) == "received"


def test_forms_carry_the_version_except_those_that_destroy(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    residual, _ = scenario.completed(users["requester"], ANA, kind="censor", verdict="fail")
    completed, _ = scenario.completed(users["requester"], BEN, kind="censor")
    received = scenario.submit(users["requester"], replace(ANA, prompt="Ana Reyes speaks"), kind="censor")
    carried = {}
    for item in (received, residual, completed):
        page = reviewer.get(f"/requests/{item.id}").text
        for step, form in re.findall(rf'action="/requests/{item.id}/([\w-]+)"(.*?)</form>', page, re.DOTALL):
            carried[step] = f'name="version" value="{item.row_version}"' in form
    assert {step for step, version in carried.items() if not version} == {"destroy-answers", "destroy-texts"}
    assert carried.keys() >= {"approve", "deny", "cancel", "retry", "accept"}


def test_progress_shows_step_and_numbers(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    scenario.start(item.id, scenario.approve(users["reviewer"], item.id), step="after", done=9, total=20)
    with scenario.database.session(read_only=True) as session:
        seen = requests.get(session, item.id).row_version
    fragment = reviewer.get(f"/requests/{item.id}/progress?seen={seen}").text
    assert "Attacking the model after the change" in fragment
    assert 'max="20" value="9"' in fragment
    assert "<html" not in fragment


def test_progress_names_the_attack_and_counts_samples(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    job_id = scenario.approve(users["reviewer"], item.id)
    scenario.start(item.id, job_id, step="after-1, attack 3 of 7", done=120, total=400)
    page = reviewer.get(f"/requests/{item.id}").text
    assert "Attacking the model after the change, round 1, attack 3 of 7" in page
    assert "120 of 400 samples" in page


def test_a_reviewer_stops_an_audit_and_the_removal_stays(
    reviewer: FlaskClient, requester: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    scenario.start(item.id, scenario.approve(users["reviewer"], item.id))
    path = f"/requests/{item.id}/stop-audit"
    assert path not in reviewer.get(f"/requests/{item.id}").text, "nothing is applied yet"
    with scenario.database.session() as session:
        states.transition(session, item.id, "applied", actor="worker-1")
    assert path not in requester.get(f"/requests/{item.id}").text
    assert requester.post(path).status_code == 403
    assert path in reviewer.get(f"/requests/{item.id}").text
    page = press(reviewer, item.id, "stop-audit")
    assert "Audit stopped; the removal stays" in page
    assert "Needs a decision" in page
    assert scenario.state(item.id) == "residual"


def test_progress_of_a_request_that_moved_on_reloads_the_page(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    answer = reviewer.get(f"/requests/{item.id}/progress?seen=3")
    assert answer.headers["HX-Refresh"] == "true"
    assert "hx-get" not in reviewer.get(f"/requests/{item.id}").text


def test_timeline_tells_the_story_in_words(reviewer: FlaskClient, scenario: Scenario, users: Users) -> None:
    scenario.write(BEN)
    item, _ = scenario.completed(users["requester"], BEN)
    page = reviewer.get(f"/requests/{item.id}").text
    story = ["Received, with 1 fact", "Approved", "Memory changed", "Report: pass", "request completed"]
    places = [page.index(words) for words in story]
    assert places == sorted(places)
    assert "Requester" in page
    assert WORKER not in page


def test_destroyed_texts_are_said_to_be_destroyed(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        retention.destroy_texts(session, scenario.vault, item.id, actor=users["admin"].id)
    page = reviewer.get(f"/requests/{item.id}").text
    assert "texts of this request were destroyed" in page
    assert "Basque" not in page


def test_texts_are_destroyed_by_hand_once_nothing_needs_them(
    reviewer: FlaskClient, auditor: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 30, users["reviewer"].id)
    path = f"/requests/{item.id}/destroy-texts"
    assert "Prompts and names stay in the memory, encrypted" in reviewer.get(f"/requests/{item.id}").text
    assert path not in auditor.get(f"/requests/{item.id}").text
    assert auditor.post(path).status_code == 403
    assert "Cancel the re-check first" in press(reviewer, item.id, "destroy-texts")
    with scenario.database.session() as session:
        rechecks.cancel(session, row.id, actor=users["reviewer"].id)
    assert "The texts were destroyed" in press(reviewer, item.id, "destroy-texts")
    assert "Basque" not in reviewer.get(f"/requests/{item.id}").text
    assert reviewer.get(f"/reports/{report_id}/document").status_code == 410


def test_unknown_request_is_a_page(reviewer: FlaskClient) -> None:
    answer = reviewer.get("/requests/req_nothing")
    assert answer.status_code == 404
    assert "Back to the requests" in answer.text


def test_answers_are_destroyed_alone_and_rechecks_stay(
    reviewer: FlaskClient, auditor: FlaskClient, scenario: Scenario, users: Users
) -> None:
    item, report_id = scenario.completed(users["requester"], ANA, kind="censor")
    with scenario.database.session() as session:
        row = rechecks.schedule(session, item.id, 30, users["reviewer"].id)
    path = f"/requests/{item.id}/destroy-answers"
    assert path not in auditor.get(f"/requests/{item.id}").text
    assert auditor.post(path).status_code == 403
    assert path in reviewer.get(f"/requests/{item.id}").text
    page = press(reviewer, item.id, "destroy-answers")
    assert "The answers were destroyed" in page
    assert "Answers destroyed; re-checks go on" in page
    assert "The mother tongue of Ana Reyes is" in page
    assert "(answer destroyed)" in page
    assert "Basque" not in page
    assert path not in page
    assert "destroy-texts" in page
    assert reviewer.get(f"/reports/{report_id}/document").status_code == 410
    assert "is queued" in reviewer.post(f"/rechecks/{row.id}/run", follow_redirects=True).text


def test_an_answer_that_the_prompt_holds_cannot_go_alone(
    reviewer: FlaskClient, scenario: Scenario, users: Users
) -> None:
    told = type(ANA)("Ana Reyes speaks Basque; her mother tongue is", "Basque", "Ana Reyes")
    item, _ = scenario.completed(users["requester"], told, kind="censor")
    page = press(reviewer, item.id, "destroy-answers")
    assert "hold the answer as well" in page
    assert "<mark>Basque</mark>" in page, "nothing was changed"
