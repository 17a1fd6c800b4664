"""Worker processes on a real Redis (database 9) and, where it answers, a real Postgres.

The promise: the database is the queue of record, Redis only wakes. Whatever Redis loses, work is done, once.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from store import events, facts, jobs, ledger, requests
from store.database import Database
from store.models import Job
from store.requests import Submission
from store.texts import FactText
from store.vault import Vault
from unwrite.broker import make_celery, send_wake
from unwrite.settings import Settings

pytestmark = pytest.mark.services
REDIS = "redis://127.0.0.1:6379/9"
POSTGRES = "postgresql://postgres@127.0.0.1/postgres"
CANARY = "Quetzalcoatl Canary"
ROOT = Path(__file__).parents[2]


def unavailable(what: str) -> None:
    """Skip with a reason; where the services must be there, fail."""
    if os.environ.get("UNWRITE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} does not answer, but UNWRITE_REQUIRE_SERVICES=1")
    pytest.skip(f"{what} does not answer on 127.0.0.1")


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(REDIS) as client:
        try:
            client.flushdb()
        except redis.ConnectionError:
            unavailable("Redis")
        yield client
        client.flushdb()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'unwrite.db'}"
        return
    name = f"unwrite_test_{secrets.token_hex(6)}"
    try:
        with psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3) as connection:
            connection.execute(f"CREATE DATABASE {name}")
    except psycopg.OperationalError:
        unavailable("Postgres")
    yield f"postgresql+psycopg://postgres@127.0.0.1/{name}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class House:
    settings: Settings
    database: Database
    vault: Vault

    @contextmanager
    def worker(
        self, module: str = "tests.services.fake_worker", *arguments: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ,
            "UNWRITE_HOME": str(self.settings.home),
            "UNWRITE_DATABASE_URL": self.settings.database_url,
            "UNWRITE_BROKER_URL": REDIS,
            "UNWRITE_LEASE_S": "2",
            "UNWRITE_REPHRASER": "templates",
            "UNWRITE_HEARTBEAT_S": "0.5",
            "UNWRITE_SWEEP_S": "1",
        }
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, cwd=ROOT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait(self, job_id: str, *states: str, within_s: float = 40) -> Job:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with self.database.session(read_only=True) as session:
                job = jobs.get(session, job_id)
            if job.state in states:
                return job
            time.sleep(0.05)
        raise AssertionError(f"the job is {job.state!r} (attempts {job.attempts}) and not one of {states}")

    def write(self, count: int) -> tuple[list[FactText], str]:
        texts = [
            FactText(f"The tongue of {CANARY}{i} is", f"Tongue{i}", f"{CANARY}{i}") for i in range(count)
        ]
        with self.database.session() as session:
            _, job = facts.register(session, self.vault, "default", texts, actor="usr_one")
        return texts, job.id

    def approved(self, text: FactText) -> tuple[str, str]:
        with self.database.session() as session:
            made = requests.submit(session, self.vault, Submission("forget", [text]), actor="usr_one")
            return made.id, requests.approve(session, made.id, actor="usr_two").id

    def wake(self, job_id: str) -> None:
        send_wake(make_celery(self.settings), job_id, "model")


@pytest.fixture
def house(broker: redis.Redis, database_url: str, tmp_path: Path) -> Iterator[House]:
    settings = Settings(home=tmp_path, database_url=database_url, broker_url=REDIS)
    database = Database(database_url)
    database.migrate()
    yield House(settings, database, Vault(settings.master_key()))
    database.close()


def test_redis_holds_ids_only_and_a_wake_gets_the_work_done(house: House, broker: redis.Redis) -> None:
    _, job_id = house.write(3)
    house.wake(job_id)
    queued = b"".join(
        b"".join(broker.lrange(key, 0, -1)) for key in broker.scan_iter() if broker.type(key) == b"list"
    )
    assert b"unwrite.run_job" in queued
    assert job_id.encode() in queued
    assert CANARY.encode() not in queued
    with house.worker():
        assert house.wait(job_id, "done").attempts == 1
    with house.database.session(read_only=True) as session:
        assert ledger.bank(session, "default").revision == 1


def test_a_wake_that_redis_lost_is_repeated_by_the_sweep(house: House, broker: redis.Redis) -> None:
    _, job_id = house.write(1)
    house.wake(job_id)
    broker.flushdb()
    with house.database.session() as session:
        job = jobs.get(session, job_id)
        job.woken_at = job.created_at.replace(year=2000)
    with house.worker():
        house.wait(job_id, "done")


def test_a_killed_worker_is_followed_by_another_and_the_request_completes_once(house: House) -> None:
    texts, job_id = house.write(3)
    house.wake(job_id)
    with house.worker("tests.services.fake_worker", "1.0") as first:
        house.wait(job_id, "done")
        request_id, job_id = house.approved(texts[0])
        house.wake(job_id)
        house.wait(job_id, "running")
        time.sleep(1.2)
        first.send_signal(signal.SIGKILL)
        first.wait()
    with house.worker(), house.worker("unwrite", "beat"):
        assert house.wait(job_id, "done").attempts == 2
    with house.database.session(read_only=True) as session:
        happened = [event.kind for event in events.list_events(session, request_id=request_id)]
        assert requests.get(session, request_id).state == "completed"
        assert ledger.bank(session, "default").revision == 2
    assert happened.count("request.applied") == happened.count("request.audited_clean") == 1


def test_two_workers_share_one_bank(house: House) -> None:
    texts, job_id = house.write(6)
    house.wake(job_id)
    with house.worker("tests.services.fake_worker", "0.1"), house.worker("tests.services.fake_worker", "0.1"):
        house.wait(job_id, "done")
        made = [house.approved(text) for text in texts[:4]]
        for _, job_id in made:
            house.wake(job_id)
        for _, job_id in made:
            house.wait(job_id, "done")
    with house.database.session(read_only=True) as session:
        bank = ledger.bank(session, "default")
        assert bank.revision == 5
        assert len(ledger.entries(session, house.vault, bank.id)) == 2


def test_a_stopped_worker_hands_its_job_back(house: House) -> None:
    texts, job_id = house.write(3)
    house.wake(job_id)
    with house.worker("tests.services.fake_worker", "0.5") as worker:
        house.wait(job_id, "done")
        _, job_id = house.approved(texts[0])
        house.wake(job_id)
        house.wait(job_id, "running")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert house.wait(job_id, "queued", within_s=1).attempts == 0
