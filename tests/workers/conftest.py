"""A small installation for each test: SQLite, a vault, the fake model and a worker without Celery."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from store import facts, jobs, ledger, requests
from store.database import Database
from store.models import Job, Request
from store.requests import Submission
from store.texts import FactText
from store.vault import Vault
from tests.workers import fakes
from unwrite.settings import Settings
from workers.model import ModelHost
from workers.runner import Runner


@dataclass
class Shop:
    """Everything a test needs, and the short ways to it."""

    settings: Settings
    database: Database
    vault: Vault
    larimar: type[fakes.FakeLarimar]

    def runner(self, name: str = "worker", stop: threading.Event | None = None) -> Runner:
        models = ModelHost(self.database, self.vault, checkpoint=None, device="cpu")
        return Runner(
            self.settings, self.database, self.vault, models, worker=name, stop=stop or threading.Event()
        )

    def texts(self, count: int) -> list[FactText]:
        return [
            FactText(f"The mother tongue of Pat Sample{i} is", f"Tongue{i}", f"Pat Sample{i}")
            for i in range(count)
        ]

    def write(self, texts: Sequence[FactText]) -> Job:
        with self.database.session() as session:
            _, job = facts.register(session, self.vault, "default", texts, actor="usr_writer")
        return job

    def submit(self, kind: str, texts: Sequence[FactText]) -> str:
        submission = Submission(kind=kind, facts=texts)  # type: ignore[arg-type]
        with self.database.session() as session:
            return requests.submit(session, self.vault, submission, actor="usr_one").id

    def approve(self, request_id: str) -> Job:
        with self.database.session() as session:
            return requests.approve(session, request_id, actor="usr_two")

    def job(self, job_id: str) -> Job:
        with self.database.session(read_only=True) as session:
            return jobs.get(session, job_id)

    def request(self, request_id: str) -> Request:
        with self.database.session(read_only=True) as session:
            return requests.get(session, request_id)

    def events(self, request_id: str) -> list[str]:
        with self.database.session(read_only=True) as session:
            return [event.kind for event in requests.events_of(session, request_id)]

    def revision(self) -> int:
        with self.database.session(read_only=True) as session:
            return ledger.bank(session, "default").revision

    def ledger_ids(self) -> list[str]:
        with self.database.session(read_only=True) as session:
            bank = ledger.bank(session, "default")
            return [fact_id for fact_id, _ in ledger.entries(session, self.vault, bank.id)]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    larimar = fakes.install(monkeypatch)
    settings = Settings(
        home=tmp_path,
        lease_s=5,
        heartbeat_s=0.5,
        database_url="",
        broker_url="",
        audit_attacks="rephrase",  # the others: test_suite.py
        rephraser="templates",  # the others: test_rephrasers.py
    )
    database = Database(settings.resolved_database_url())
    database.migrate()
    yield Shop(settings, database, Vault(settings.master_key()), larimar)
    database.close()


@pytest.fixture
def written(shop: Shop) -> Callable[[int], list[FactText]]:
    """Facts that are in the memory already."""

    def write(count: int) -> list[FactText]:
        texts = shop.texts(count)
        assert shop.runner("writer").run(shop.write(texts).id)
        return texts

    return write
