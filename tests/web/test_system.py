"""Health for load balancers, and the factory's promises."""

from __future__ import annotations

from pathlib import Path

from apiflask import APIFlask

from audit.schema import SCHEMA_ID
from store.database import Database
from unwrite.settings import Settings
from web import create_app


def test_alive_and_ready(app: APIFlask) -> None:
    assert app.test_client().get("/healthz").json == {"status": "ok"}
    assert app.test_client().get("/readyz").json == {"status": "ok"}


def test_the_schema_of_reports_is_open_to_everybody(app: APIFlask) -> None:
    answer = app.test_client().get("/report.schema.json")
    assert answer.mimetype == "application/schema+json"
    assert answer.json["$id"] == SCHEMA_ID


def test_not_ready_without_its_tables(settings: Settings, tmp_path: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    client = create_app(settings, database=empty, wake=lambda job, queue: None).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "not_ready")
    assert client.get("/login").status_code == 503
    empty.close()


def test_behind_a_proxy_the_client_and_the_scheme_are_believed_only_as_told(
    settings: Settings, database: Database
) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    for hops in (0, 1):
        told = settings.model_copy(update={"trusted_proxies": hops})
        client = create_app(told, database=database, wake=lambda job, queue: None).test_client()
        answer = client.get("/login", headers=forwarded)
        assert ("Strict-Transport-Security" in answer.headers) is bool(hops)


def test_two_processes_with_one_master_key_share_sessions(settings: Settings, database: Database) -> None:
    first, second = (create_app(settings, database=database, wake=lambda job, queue: None) for _ in range(2))
    assert first.secret_key == second.secret_key
    assert first.secret_key != settings.master_key()
