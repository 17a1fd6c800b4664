"""What keeps the pages safe: CSRF, policy, headers, cookies, limits; and no submitted value where it must not
be.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator

import pytest
import structlog
from apiflask import APIFlask
from flask.testing import FlaskClient

from store.errors import DatabaseUnusable
from store.models import User
from tests.web.scenario import ANA, PASSWORD
from tests.web.test_request_form import form

Users = dict[str, User]
Bearer = Callable[..., dict[str, str]]
CANARY = "Zanzibar Quokka"


@pytest.fixture
def csrf(app: APIFlask) -> Iterator[None]:
    app.config["WTF_CSRF_ENABLED"] = True
    yield
    app.config["WTF_CSRF_ENABLED"] = False


@pytest.mark.usefixtures("csrf")
def test_every_form_post_needs_its_token(app: APIFlask, reviewer: FlaskClient) -> None:
    posts = [
        rule.rule.replace("<", "").replace(">", "")
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and not rule.rule.startswith("/api/")
    ]
    assert len(posts) >= 13
    for path in posts:
        answer = reviewer.post(path, data={"reason": "x"})
        assert answer.status_code == 400, path
        assert "reload the page" in answer.text


@pytest.mark.usefixtures("csrf")
def test_forms_carry_the_token_that_lets_them_through(reviewer: FlaskClient) -> None:
    page = reviewer.get("/requests/new").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    answer = reviewer.post("/requests/new", data=form(ANA, kind="censor") | {"csrf_token": token[1]})
    assert answer.status_code == 302


def test_pages_allow_nothing_from_elsewhere(reviewer: FlaskClient) -> None:
    answers = [reviewer.get("/requests") for _ in range(2)]
    policies = [answer.headers["Content-Security-Policy"] for answer in answers]
    assert policies[0] != policies[1]  # a nonce is used once
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]
    assert "frame-ancestors 'none'" in policies[0]
    nonce = re.search(r"'nonce-([^']+)'", policies[0])
    assert nonce
    assert re.findall(r"<script(.*?)>", answers[0].text) == [
        f' nonce="{nonce[1]}" src="/static/vendor/htmx-2.0.11.min.js" defer'
    ]
    assert " style=" not in answers[0].text
    assert " onclick" not in answers[0].text
    assert answers[0].headers["Cache-Control"] == "no-store"
    assert answers[0].headers["X-Content-Type-Options"] == "nosniff"


def test_session_cookie_is_out_of_reach(app: APIFlask) -> None:
    for base, secure in (("http://localhost", False), ("https://localhost", True)):
        data = {"email": "reviewer@example.org", "password": PASSWORD}
        cookie = app.test_client().post("/login", data=data, base_url=base).headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert ("Secure" in cookie) is secure


def test_oversized_bodies_are_refused(app: APIFlask, reviewer: FlaskClient, bearer: Bearer) -> None:
    big = "x" * (1024 * 1024 + 1)
    answer = app.test_client().post("/api/v1/requests", data=big, headers=bearer("requester"))
    assert answer.status_code in {413, 415}
    body = json.dumps({"kind": "censor", "facts": [{"prompt": big, "answer": "x"}]})
    headers = bearer("requester") | {"Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/requests", data=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert reviewer.post("/requests/new", data=form(ANA) | {"reference": big}).status_code == 413


def test_many_posts_of_a_program_are_slowed_down(app: APIFlask, bearer: Bearer) -> None:
    client, headers = app.test_client(), bearer("reviewer")
    answers = [client.post("/api/v1/requests/req_x/approve", headers=headers) for _ in range(242)]
    assert answers[0].status_code == 404
    assert (answers[-1].status_code, answers[-1].json["code"]) == (429, "too_many_requests")
    assert int(answers[-1].headers["Retry-After"]) > 0


BROKEN_BODIES = [
    '{"kind": "censor", "facts": [{"prompt": "%s"',
    '{"kind": "%s", "facts": []}',
    '{"kind": "censor", "facts": "%s"}',
    '{"kind": "censor", "facts": [{"prompt": ["%s"], "answer": "x"}]}',
    '{"kind": "censor", "facts": [{"prompt": "p", "answer": "a", "%s": 1}]}',
    '{"kind": "censor", "facts": [{"prompt": "%s\\u0000", "answer": "x"}]}',
    '{"kind": "censor", "facts": [{"prompt": "%s\\ud800", "answer": "x"}]}',
    '{"kind": "censor", "facts": [{"prompt": "%s\\n", "answer": "x"}, {"prompt": "%s\\nb", "answer": "x"}]}',
    '{"kind": "censor", "facts": [{"prompt": "%s"}]}',
    '{"kind": "forget", "facts": [{"prompt": "%s", "answer": "%s"}]}',
    '{"kind": "censor", "facts": [{"prompt": "p", "answer": "a"}], "reference": "%s"}',
    '{"kind": "censor", "facts": [{"prompt": "p", "answer": "a"}], "regulation": "%s"}',
    '["%s"]',
    '"%s"',
    "null",
    "[" * 100_000,
    "NaN",
    '{"kind": "censor", "facts": [{"prompt": "p", "answer": ' + "9" * 5000 + "}]}",
]


@pytest.mark.parametrize("body", BROKEN_BODIES, ids=range(len(BROKEN_BODIES)))
def test_broken_bodies_get_a_problem_without_what_was_sent(
    app: APIFlask, bearer: Bearer, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = bearer("requester") | {"Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/requests", data=body.replace("%s", CANARY), headers=headers)
    assert answer.status_code in {400, 409, 422}
    assert answer.mimetype == "application/problem+json"
    assert {"type", "title", "status", "code", "detail"} <= set(answer.json)
    assert answer.json["type"] == f"urn:unwrite:problem:{answer.json['code']}"
    _no_canary(answer.text, str(answer.headers), *capsys.readouterr())


def test_values_stay_out_of_logs_urls_and_error_pages(
    app: APIFlask,
    requester: FlaskClient,
    bearer: Bearer,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    structlog.reset_defaults()
    client, headers = app.test_client(), bearer("reviewer")
    fact = type(ANA)(f"Where does {CANARY} live?", CANARY, CANARY)
    made = requester.post("/requests/new", data=form(fact, kind="censor"))
    assert made.status_code == 302
    answers = [
        made,
        client.get(f"/api/v1/requests?kind={CANARY}", headers=headers),
        client.get(f"/api/v1/requests/{CANARY}", headers=headers),
        client.get(f"/{CANARY}?next={CANARY}"),
        client.put(f"/api/v1/requests/{CANARY}", headers=headers),
        client.get(f"/api/v1/requests?cursor={CANARY}", headers=headers),
        client.post("/api/v1/facts", data=CANARY, headers=headers | {"Content-Type": "text/plain"}),
        client.get("/api/v1/requests", headers={"Authorization": f"Bearer {CANARY}"}),
    ]
    monkeypatch.setattr("store.requests.submit", _crash)
    answers.append(requester.post("/requests/new", data=form(fact, kind="censor")))
    assert [answer.status_code for answer in answers] == [302, 422, 404, 404, 405, 422, 415, 401, 500]
    _no_canary(*(answer.text + str(answer.headers) for answer in answers), *capsys.readouterr(), caplog.text)


def test_crash_says_nothing_and_is_logged_by_class(
    app: APIFlask, bearer: Bearer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("store.requests.list_requests", _crash)
    answer = app.test_client().get("/api/v1/requests", headers=bearer("auditor"))
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    log = capsys.readouterr().out
    assert "ZeroDivisionError" in log
    assert answer.json["request_id"] in log


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_database_that_is_gone_is_said_to_who_is_signed_in(
    reviewer: FlaskClient, method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_args: object, **_more: object) -> None:
        raise DatabaseUnusable("The database cannot be used.")

    monkeypatch.setattr("store.database.Database.session", gone)
    answer = reviewer.open("/requests/new", method=method)
    assert answer.status_code == 503
    assert "The database cannot be used." in answer.text
    assert "Traceback" not in caplog.text


def test_unknown_method_names_the_allowed_ones(app: APIFlask) -> None:
    answer = app.test_client().delete("/api/v1/requests")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def _crash(*_args: object, **_more: object) -> None:
    raise ZeroDivisionError(f"{CANARY} must not be told")


def _no_canary(*texts: str) -> None:
    for text in texts:
        for word in (CANARY, CANARY.replace(" ", "+"), CANARY.replace(" ", "%20"), "Quokka"):
            assert word not in text
