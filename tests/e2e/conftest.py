"""A real installation for a whole module: web and worker processes, SQLite, file broker, the real model."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import events, jobs, ledger, people, requests
from store.database import Database
from store.models import Job, LedgerEntry, Request
from unwrite.demo import free_port
from unwrite.demo_client import Client
from unwrite.settings import Settings

QUICK = {
    "UNWRITE_LEASE_S": "4",
    "UNWRITE_HEARTBEAT_S": "1",
    "UNWRITE_SWEEP_S": "1",
    "UNWRITE_MAX_ATTEMPTS": "5",
    "UNWRITE_AUDIT_ATTACKS": "rephrase,frame",
}
CANARY = f"Quetzal{secrets.token_hex(3)}"


@dataclass
class Real:
    """The running installation; `work` starts a worker, `kill` ends it without warning."""

    home: Path
    url: str
    database: Database
    requester: Client
    reviewer: Client
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `unwrite …` as a process; its output goes to a log that is searched for canaries later."""
        environment = {**os.environ, **QUICK, "UNWRITE_HOME": str(self.home)}
        for name in ("UNWRITE_DATABASE_URL", "UNWRITE_BROKER_URL", "UNWRITE_MASTER_KEY"):
            environment.pop(name, None)
        with (self.home / f"{arguments[0]}.log").open("ab") as log:
            command = [sys.executable, "-m", "unwrite", *arguments]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End everything."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill_at(self, worker: subprocess.Popen[bytes], job_id: str, *steps: str) -> Job:
        """SIGKILL the worker the moment its job is at one of these steps; the job as it was left."""
        self.wait(
            lambda: self.job(job_id).step.partition(",")[0] in steps and self.job(job_id).state == "running",
            pause_s=0.002,
        )
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        return self.job(job_id)

    def wait(self, until: Callable[[], bool], *, within_s: float = 120, pause_s: float = 0.2) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within_s
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError("waited too long; the worker's log ends with:\n" + self.log_tail())
            time.sleep(pause_s)

    def log_tail(self) -> str:
        """The last lines of all logs."""
        return "\n".join("\n".join(log.read_text().splitlines()[-15:]) for log in self.home.glob("*.log"))

    def write(self, facts: list[dict[str, Any]]) -> None:
        """Write facts and wait for the worker."""
        for job_id in self.reviewer.write(facts):
            self.wait(lambda: self.job(job_id).state in {"done", "failed"})  # noqa: B023 (called at once)
            assert self.job(job_id).state == "done"

    def approved(self, kind: str, facts: list[dict[str, Any]]) -> tuple[str, str]:
        """Submit by one person, approve by another; ids of request and job."""
        request_id = self.requester.submit(kind, facts)
        self.reviewer.approve(request_id)
        return request_id, str(self.reviewer.request(request_id)["job"]["id"])

    def finished(self, request_id: str) -> Request:
        """Wait for the end of a request."""
        ended = {"completed", "residual", "failed"}
        self.wait(lambda: self.request(request_id).state in ended, within_s=300)  # a busy machine is slow
        return self.request(request_id)

    def job(self, job_id: str) -> Job:
        """The job's row."""
        with self.database.session(read_only=True) as session:
            return jobs.get(session, job_id)

    def request(self, request_id: str) -> Request:
        """The request's row."""
        with self.database.session(read_only=True) as session:
            return requests.get(session, request_id)

    def events(self, request_id: str) -> list[str]:
        """Kinds of what happened to a request."""
        with self.database.session(read_only=True) as session:
            return [event.kind for event in events.list_events(session, request_id=request_id)]

    def bank(self) -> tuple[int, int]:
        """Revision of the bank, and how many facts its ledger holds."""
        with self.database.session(read_only=True) as session:
            bank = ledger.bank(session, "default")
            held = sa.select(sa.func.count()).where(LedgerEntry.bank_id == bank.id)
            return bank.revision, session.scalar(held) or 0


def people_of(home: Path, database: Database) -> dict[str, str]:
    """API tokens of a requester and a reviewer."""
    tokens = {}
    with database.session() as session:
        for role in ("requester", "reviewer"):
            account = people.create_user(
                session, f"{role}@example.org", role, role, secrets.token_urlsafe(12)
            )
            expires = datetime.now(UTC) + timedelta(days=1)
            tokens[role] = people.create_token(session, account, "e2e", people.ROLES[role], expires)[1]
    return tokens


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    home = tmp_path_factory.mktemp("home")
    database = Database(Settings(home=home, database_url="").resolved_database_url())
    database.migrate()
    tokens = people_of(home, database)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Client(url, tokens["requester"]) as requester, Client(url, tokens["reviewer"]) as reviewer:
        house = Real(home, url, database, requester, reviewer)
        try:
            house.start("serve", "--workers", "0", "--port", str(port))
            house.wait(reviewer.ready, within_s=60)
            yield house
        finally:
            house.stop()
            database.close()
