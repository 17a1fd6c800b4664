"""Rate limits of several web processes: counted together in Redis, alone where there is none or it is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from apiflask import APIFlask

from store.database import Database
from tests.services.test_redis_worker import REDIS, unavailable
from unwrite.settings import Settings
from web import create_app
from web.security import counters_of, limiter


@pytest.fixture
def counters() -> Iterator[redis.Redis]:
    """The Redis in which calls are counted, without the counts of these tests."""
    with redis.Redis.from_url(REDIS) as client:
        try:
            client.ping()
        except redis.ConnectionError:
            unavailable("Redis")
        yield client
    limiter.reset()


def sign_in(settings: Settings, database: Database, broker_url: str, times: int) -> list[int]:
    """The answers to wrong passwords of an application made anew, as in a process of its own."""
    told = settings.model_copy(update={"broker_url": broker_url})
    app = create_app(told, database=database, wake=lambda job, queue: None)
    app.config["WTF_CSRF_ENABLED"] = False
    data = {"email": "nobody@example.org", "password": "wrong"}
    return [app.test_client().post("/login", data=data).status_code for _ in range(times)]


@pytest.mark.services
def test_processes_count_calls_together_in_redis(
    settings: Settings, database: Database, counters: redis.Redis
) -> None:
    assert sign_in(settings, database, REDIS, 10) == [401] * 10
    assert sign_in(settings, database, REDIS, 1) == [429]
    assert all(0 < counters.ttl(key) <= 3600 for key in counters.scan_iter("LIMITS*"))


def test_limits_hold_while_redis_does_not_answer(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "_storage_dead", False)  # put back afterwards
    assert sign_in(settings, database, "redis://127.0.0.1:1/0", 11) == [401] * 10 + [429]


@pytest.mark.parametrize("broker_url", ["", "amqp://guest@127.0.0.1", "sentinel://127.0.0.1:26379"])
def test_without_redis_each_process_counts_for_itself(broker_url: str) -> None:
    assert counters_of(broker_url) == {"RATELIMIT_STORAGE_URI": "memory://"}


def test_an_exceeded_limit_is_logged_without_the_address(
    app: APIFlask, capsys: pytest.CaptureFixture[str]
) -> None:
    client, data = app.test_client(), {"email": "nobody@example.org", "password": "wrong"}
    for _ in range(11):
        answer = client.post("/login", data=data, environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    assert answer.status_code == 429
    told = capsys.readouterr().out
    [line] = [line for line in told.splitlines() if "limit exceeded" in line]
    assert "pages.sign_in" in line
    assert "10 per 1 minute" in line
    assert "203.0.113.9" not in told


def test_only_a_refusal_says_when_to_try_again(app: APIFlask) -> None:
    client, data = app.test_client(), {"email": "nobody@example.org", "password": "wrong"}
    answers = [client.post("/login", data=data) for _ in range(11)]
    assert [("Retry-After" in answer.headers) for answer in answers] == [False] * 10 + [True]
    assert answers[0].headers["X-RateLimit-Limit"] == "10"
