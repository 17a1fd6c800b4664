"""A POST that is sent twice is done once: same key and body, same answer; another body, refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from apiflask import APIFlask

from store import requests
from store.models import User
from tests.web.scenario import ANA, BEN, Scenario

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]


def body(fact) -> dict[str, object]:  # type: ignore[no-untyped-def]
    return {"kind": "censor", "facts": [{"prompt": fact.prompt, "answer": fact.answer}]}


def count(scenario: Scenario) -> int:
    with scenario.database.session(read_only=True) as session:
        return len(requests.list_requests(session).items)


def test_same_key_and_body_is_done_once(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    headers = bearer("requester") | {"Idempotency-Key": "key-1"}
    first = app.test_client().post("/api/v1/requests", json=body(ANA), headers=headers)
    second = app.test_client().post("/api/v1/requests", json=body(ANA), headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json == second.json
    assert first.headers["Location"] == second.headers["Location"] == f"/api/v1/requests/{first.json['id']}"
    assert second.headers["Idempotency-Replayed"] == "true"
    assert count(scenario) == 1


def test_same_key_with_another_body_is_refused(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    headers = bearer("requester") | {"Idempotency-Key": "key-1"}
    app.test_client().post("/api/v1/requests", json=body(ANA), headers=headers)
    other = app.test_client().post("/api/v1/requests", json=body(BEN), headers=headers)
    assert (other.status_code, other.json["code"]) == (409, "idempotency_conflict")
    assert count(scenario) == 1


def test_a_key_belongs_to_its_user(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    for role in ("requester", "reviewer"):
        headers = bearer(role) | {"Idempotency-Key": "key-1"}
        assert app.test_client().post("/api/v1/requests", json=body(ANA), headers=headers).status_code == 201
    assert count(scenario) == 2


def test_a_refused_call_does_not_use_up_its_key(app: APIFlask, bearer: Bearer, scenario: Scenario) -> None:
    headers = bearer("requester") | {"Idempotency-Key": "key-1"}
    forget = body(ANA) | {"kind": "forget"}
    assert app.test_client().post("/api/v1/requests", json=forget, headers=headers).status_code == 409
    scenario.write(ANA)
    assert app.test_client().post("/api/v1/requests", json=forget, headers=headers).status_code == 201


def test_approval_without_a_body_is_repeatable_and_wakes_once(
    app: APIFlask, bearer: Bearer, scenario: Scenario, users: Users, wakes: list[tuple[str, str]]
) -> None:
    item = scenario.submit(users["requester"], ANA, kind="censor")
    headers = bearer("reviewer") | {"Idempotency-Key": "approve"}
    answers = [
        app.test_client().post(f"/api/v1/requests/{item.id}/approve", headers=headers) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert len(wakes) == 1


def test_a_job_that_was_rolled_back_is_never_announced(
    app: APIFlask,
    bearer: Bearer,
    scenario: Scenario,
    users: Users,
    wakes: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_args: object, **_more: object) -> None:
        raise OSError("the disk is full")

    item = scenario.submit(users["requester"], ANA, kind="censor")
    headers = bearer("reviewer") | {"Idempotency-Key": "approve"}
    monkeypatch.setattr("store.idempotency.complete", crash)
    answer = app.test_client().post(f"/api/v1/requests/{item.id}/approve", headers=headers)
    assert answer.status_code == 500
    assert scenario.state(item.id) == "received"
    assert wakes == []


@pytest.mark.parametrize("key", ["", "has space", "x" * 201, "\u00fc"])
def test_odd_keys_are_refused_in_words(app: APIFlask, bearer: Bearer, key: str) -> None:
    headers = bearer("requester") | {"Idempotency-Key": key}
    answer = app.test_client().post("/api/v1/requests", json=body(ANA), headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency_key_invalid")


def test_every_post_of_the_api_is_idempotent(app: APIFlask) -> None:
    posts = [
        rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/") and "POST" in rule.methods
    ]
    assert len(posts) >= 9
    for rule in posts:
        view, wrapped = app.view_functions[rule.endpoint], []
        while hasattr(view, "__wrapped__"):
            wrapped.append(view.__code__.co_name)
            view = view.__wrapped__
        assert "once" in wrapped, rule.rule
