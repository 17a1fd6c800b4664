"""Requests over the API: the whole life of one, what is refused, and who may do what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from apiflask import APIFlask

from store import jobs, people, requests, states
from store.models import User
from tests.web.scenario import ANA, BEN, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]
CENSOR = {"kind": "censor", "facts": [{"prompt": ANA.prompt, "answer": ANA.answer, "subject": ANA.subject}]}


def test_a_request_is_submitted_approved_and_followed(
    app: APIFlask, bearer: Bearer, wakes: list[tuple[str, str]]
) -> None:
    client, requester, reviewer = app.test_client(), bearer("requester"), bearer("reviewer")
    made = client.post("/api/v1/requests", json=CENSOR | {"regulation": "ccpa"}, headers=requester)
    assert made.status_code == 201
    assert (made.json["state"], made.json["days_left"], made.json["reference"]) == ("received", 45, "")
    place = made.headers["Location"]
    assert client.get(place, headers=requester).json["allowed"] == ["cancel"]
    assert client.get(place, headers=reviewer).json["allowed"] == ["approve", "deny", "cancel"]
    decided = client.post(f"{place}/approve", headers=reviewer).json
    assert decided["request"]["state"] == "approved"
    assert wakes == [(decided["job"]["id"], "model")]
    shown = client.get(place, headers=requester).json
    assert shown["job"]["id"] == decided["job"]["id"]
    assert shown["job"]["progress"] == {"done": 0, "total": 0}
    assert shown["fact_count"] == 1
    assert client.get(f"/api/v1/jobs/{decided['job']['id']}", headers=requester).json["state"] == "queued"
    events = client.get(f"{place}/events", headers=requester).json["items"]
    assert [event["kind"] for event in events] == ["request.submit", "request.approve"]
    first = client.get(f"{place}/events?limit=1", headers=requester).json
    second = client.get(f"{place}/events?limit=1&cursor={first['next_cursor']}", headers=requester).json
    assert [*first["items"], *second["items"]] == events
    assert second["next_cursor"] is None
    assert client.get(f"{place}/events?cursor=nonsense", headers=requester).status_code == 422


def test_forgetting_what_was_never_written_names_positions_only(
    app: APIFlask, bearer: Bearer, scenario: Scenario
) -> None:
    scenario.write(ANA)
    facts = [{"prompt": ANA.prompt, "answer": ANA.answer}, {"prompt": BEN.prompt, "answer": BEN.answer}]
    answer = app.test_client().post(
        "/api/v1/requests", json={"kind": "forget", "facts": facts}, headers=bearer("requester")
    )
    assert answer.status_code == 409
    assert (answer.json["code"], answer.json["positions"]) == ("fact_not_written", [1])
    assert answer.mimetype == "application/problem+json"
    assert "Okafor" not in answer.text


def test_list_is_filtered_and_paged(app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users) -> None:
    client, headers = app.test_client(), bearer("auditor")
    made = [scenario.submit(users["requester"], ANA, kind="censor", reference=f"R{n}").id for n in range(3)]
    scenario.approve(users["reviewer"], made[0])
    waiting = client.get("/api/v1/requests?state=received,denied&kind=censor", headers=headers).json
    assert {item["id"] for item in waiting["items"]} == set(made[1:])
    first = client.get("/api/v1/requests?limit=2", headers=headers).json
    second = client.get(f"/api/v1/requests?limit=2&cursor={first['next_cursor']}", headers=headers).json
    assert {item["id"] for item in first["items"] + second["items"]} == set(made)
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["state=burning", "kind=burn", "limit=0", "limit=x", "cursor=nonsense", "foo=1"]
)
def test_wrong_filters_are_refused(app: APIFlask, bearer: Bearer, query: str) -> None:
    answer = app.test_client().get(f"/api/v1/requests?{query}", headers=bearer("auditor"))
    assert answer.status_code == 422


def test_denial_and_acceptance_need_reasons(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    client, headers = app.test_client(), bearer("reviewer")
    item = scenario.submit(users["requester"], ANA, kind="censor")
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": 1}):
        assert client.post(f"/api/v1/requests/{item.id}/deny", json=body, headers=headers).status_code == 422
    denied = client.post(f"/api/v1/requests/{item.id}/deny", json={"reason": "Not theirs."}, headers=headers)
    assert denied.json["request"]["reason"] == "Not theirs."
    again = client.post(f"/api/v1/requests/{item.id}/deny", json={"reason": "Twice."}, headers=headers)
    assert (again.status_code, again.json["code"]) == (409, "illegal_transition")
    leaking, _ = scenario.completed(users["requester"], BEN, verdict="fail", kind="censor")
    accepted = client.post(
        f"/api/v1/requests/{leaking.id}/accept", json={"reason": "A guess."}, headers=headers
    )
    assert accepted.json["request"]["state"] == "completed"


def test_leaking_request_is_retried_and_wakes_a_worker(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    leaking, _ = scenario.completed(users["requester"], BEN, verdict="fail", kind="censor")
    answer = app.test_client().post(f"/api/v1/requests/{leaking.id}/retry", headers=bearer("reviewer"))
    assert answer.json["request"]["state"] == "approved"
    assert wakes == [(answer.json["job"]["id"], "model")]


def test_own_request_cannot_be_approved(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["reviewer"], ANA, kind="censor")
    answer = app.test_client().post(f"/api/v1/requests/{item.id}/approve", headers=bearer("reviewer"))
    assert (answer.status_code, answer.json["code"]) == (403, "same_person")


def test_requesters_neither_see_nor_cancel_what_is_not_theirs(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    client, headers = app.test_client(), bearer("requester")
    item, report_id = scenario.completed(users["reviewer"], ANA, kind="censor")
    with scenario.database.session(read_only=True) as session:
        from store import jobs

        job_id = jobs.of_request(session, item.id)[0].id
    for path in (
        f"requests/{item.id}",
        f"requests/{item.id}/events",
        f"reports/{report_id}.json",
        f"jobs/{job_id}",
    ):
        assert client.get(f"/api/v1/{path}", headers=headers).status_code == 404
    assert client.post(f"/api/v1/requests/{item.id}/cancel", headers=headers).status_code == 404
    assert client.get("/api/v1/requests", headers=headers).json["items"] == []


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("auditor", "POST", "requests"),
        ("auditor", "POST", "requests/req_x/cancel"),
        ("auditor", "POST", "facts"),
        ("auditor", "POST", "requests/req_x/rechecks"),
        ("auditor", "POST", "rechecks/chk_x/cancel"),
        ("requester", "POST", "requests/req_x/approve"),
        ("requester", "POST", "requests/req_x/deny"),
        ("requester", "POST", "requests/req_x/accept"),
        ("requester", "POST", "requests/req_x/retry"),
        ("requester", "POST", "facts"),
        ("requester", "GET", "facts"),
        ("requester", "GET", "bank"),
    ],
)
def test_roles_are_enforced(app: APIFlask, bearer: Bearer, role: str, method: str, path: str) -> None:
    body = {"json": {}} if method == "POST" else {}
    answer = app.test_client().open(f"/api/v1/{path}", method=method, headers=bearer(role), **body)
    assert (answer.status_code, answer.json["code"]) == (403, "insufficient_scope")


def test_a_token_has_no_more_than_its_scopes(app: APIFlask, bearer: Bearer) -> None:
    client, headers = app.test_client(), bearer("admin", "requests:read")
    assert client.get("/api/v1/requests", headers=headers).status_code == 200
    assert client.post("/api/v1/requests", json=CENSOR, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer unw_wrong", "Basic dTpw", "unw_x", "Bearer ü"]
)
def test_without_a_valid_token_nothing_is_answered(app: APIFlask, header: str) -> None:
    answer = app.test_client().get("/api/v1/requests", headers={"Authorization": header})
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_revoked_token_and_browser_session_do_not_open_the_api(
    app: APIFlask, scenario: Scenario, users: Users, reviewer
) -> None:  # type: ignore[no-untyped-def]
    secret = scenario.token(users["reviewer"])
    with scenario.database.session() as session:
        (token,) = people.tokens_of(session, users["reviewer"].id)
        people.revoke_token(session, token.id, actor="cli")
    headers = {"Authorization": f"Bearer {secret}"}
    assert app.test_client().get("/api/v1/requests", headers=headers).status_code == 401
    assert reviewer.get("/api/v1/requests").status_code == 401


def test_csv_needs_a_token_and_holds_one_row_a_request(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    scenario.submit(users["requester"], ANA, kind="censor")
    answer = app.test_client().get("/api/v1/requests.csv", headers=bearer("auditor"))
    assert answer.mimetype == "text/csv"
    assert len(answer.text.splitlines()) == 2


def test_answers_are_destroyed_over_the_api(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item, _ = scenario.completed(users["requester"], ANA, kind="censor")
    client = app.test_client()
    path = f"/api/v1/requests/{item.id}/destroy-answers"
    assert client.post(path, headers=bearer("requester")).status_code == 403
    assert client.post(path, headers=bearer("reviewer")).status_code == 200
    with scenario.database.session(read_only=True) as session:
        [fact] = requests.facts_of(session, scenario.vault, item.id)
    assert (fact.text.prompt, fact.text.answer, fact.is_blind) == (ANA.prompt, "", True)


def test_an_audit_is_stopped_over_the_api(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    scenario.start(item.id, scenario.approve(users["reviewer"], item.id))
    client, path = app.test_client(), f"/api/v1/requests/{item.id}/stop-audit"
    assert client.post(path, headers=bearer("reviewer")).status_code == 409, "it is not applied yet"
    with scenario.database.session() as session:
        states.transition(session, item.id, "applied", actor="worker-1")
    assert client.post(path, headers=bearer("requester")).status_code == 403
    answer = client.post(path, headers=bearer("reviewer"))
    assert answer.json["request"]["state"] == "residual"
    with scenario.database.session(read_only=True) as session:
        [job] = jobs.of_request(session, item.id)
    assert (job.state, job.error_class) == ("failed", "Cancelled")
