"""A random walk of people, workers, crashes and sweeps through one request: the rules hold at every step."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import time_machine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event

from store import clocks, jobs, requests, states
from store.database import Database
from store.errors import AlreadyApplied, IllegalTransition, LeaseLost
from store.vault import Vault
from tests.store.scenes import CLEO, submitted

WORKERS = ("ada", "bob")
LEASE_S = 60
_TEMPLATE = Path(tempfile.mkdtemp(prefix="unwrite-machine-")) / "template.db"


def _fresh_database(folder: Path) -> Database:
    if not _TEMPLATE.exists():
        made = Database(f"sqlite:///{_TEMPLATE}")
        made.migrate()
        made.scrub()
        made.close()
    shutil.copy(_TEMPLATE, folder / "unwrite.db")
    database = Database(f"sqlite:///{folder}/unwrite.db")
    event.listen(
        database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF")
    )
    return database


class RequestMachine(RuleBasedStateMachine):
    """The model: the request's state, and for the newest job its state, holder, attempts and lease."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="unwrite-machine-"))
        self.database = _fresh_database(self.folder)
        self.clock = time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False)
        self.traveller = self.clock.start()
        self.state = "received"
        self.applied = False
        self.job: str | None = None
        self.job_state = ""
        self.holder: str | None = None
        self.attempts = 0
        self.lease_left = 0

    @initialize()
    def submit(self) -> None:
        self.request_id = submitted(self.database, Vault(bytes(32)), CLEO, kind="censor").id

    # What people do.

    @rule(event=st.sampled_from(["approve", "deny", "cancel", "stop_audit", "retry", "accept"]))
    def decide(self, event: str) -> None:
        target = states.TRANSITIONS.get((self.state, event))
        if event == "cancel" and self.applied:
            target = None
        try:
            with self.database.session() as session:
                job = self._decide(session, event)
        except (IllegalTransition, AlreadyApplied):
            assert target is None
            return
        assert target is not None
        self.state = target
        if event in ("approve", "retry"):
            self.job, self.job_state, self.holder, self.attempts = job, "queued", None, 0
        elif event in ("cancel", "stop_audit") and self.job is not None:
            self.job_state = "failed"

    def _decide(self, session, event: str) -> str | None:  # type: ignore[no-untyped-def]
        if event == "approve":
            return requests.approve(session, self.request_id, actor="reviewer", max_attempts=3).id
        if event == "retry":
            return requests.retry(session, self.request_id, actor="reviewer", max_attempts=3).id
        if event == "cancel":
            requests.cancel(session, self.request_id, actor="requester")
        elif event == "stop_audit":
            requests.stop_audit(session, self.request_id, actor="reviewer")
        elif event == "deny":
            requests.deny(session, self.request_id, actor="reviewer", reason="no")
        else:
            requests.accept(session, self.request_id, actor="reviewer", reason="tolerable")
        return None

    # What workers do.

    @rule(worker=st.sampled_from(WORKERS))
    def claim(self, worker: str) -> None:
        if self.job is None:
            return
        with self.database.session() as session:
            got = jobs.claim(session, self.job, worker, LEASE_S)
        free = self.job_state == "queued" or (self.job_state == "running" and self.lease_left < 0)
        assert (got is not None) == (free and self.attempts < 3)
        if got is not None:
            self.job_state, self.holder, self.lease_left = "running", worker, LEASE_S
            self.attempts += 1
        elif free:
            self._job_failed()

    @rule(worker=st.sampled_from(WORKERS))
    def heartbeat(self, worker: str) -> None:
        if self.job is None:
            return
        with self.database.session() as session:
            alive = jobs.heartbeat(session, self.job, worker, LEASE_S)
        assert alive == self._held_by(worker)
        if alive:
            self.lease_left = LEASE_S

    @rule(worker=st.sampled_from(WORKERS), leaking=st.booleans())
    def work_a_step(self, worker: str, leaking: bool) -> None:
        """start, applied and the verdict come one after another; the verdict and `finish` are one
        transaction.
        """
        if self.job is None:
            return
        verdict = "audited_leaking" if leaking else "audited_clean"
        event = {"approved": "start", "applying": "applied", "auditing": verdict}.get(self.state, "start")
        try:
            with self.database.session() as session:
                jobs.hold(session, self.job, worker)
                self.state = states.transition(session, self.request_id, event, actor=worker).state
                self.applied = self.applied or event == "applied"
                if event == verdict:
                    jobs.finish(session, self.job, worker)
                    self.job_state = "done"
        except LeaseLost:
            assert not self._held_by(worker)

    @rule(worker=st.sampled_from(WORKERS), retry=st.booleans())
    def crash_politely(self, worker: str, retry: bool) -> None:
        if self.job is None:
            return
        try:
            with self.database.session() as session:
                jobs.fail(session, self.job, worker, "SomeError", retry=retry)
        except LeaseLost:
            assert not self._held_by(worker)
            return
        if retry and self.attempts < 3:
            self.job_state, self.holder = "queued", None
        else:
            self._job_failed()

    @rule(worker=st.sampled_from(WORKERS))
    def shut_down(self, worker: str) -> None:
        if self.job is None:
            return
        with self.database.session() as session:
            given_back = jobs.release(session, self.job, worker)
        assert given_back == self._held_by(worker)
        if given_back:
            self.job_state, self.holder = "queued", None
            self.attempts -= 1

    # What happens to them.

    @rule(seconds=st.sampled_from([5, 30, 61]))
    def time_passes_or_worker_is_killed(self, seconds: int) -> None:
        self.traveller.shift(seconds)
        self.lease_left -= seconds

    @rule()
    def sweep(self) -> None:
        with self.database.session() as session:
            woken = [job.id for job in jobs.sweep(session, clocks.now())]
        assert self.job_state == "queued" or self._expired() or woken == []
        if self._expired():
            if self.attempts < 3:
                assert woken == [self.job]
                self.job_state, self.holder = "queued", None
            else:
                self._job_failed()

    # What always holds.

    @invariant()
    def database_and_model_agree(self) -> None:
        if not hasattr(self, "request_id"):
            return
        with self.database.session(read_only=True) as session:
            assert requests.get(session, self.request_id).state == self.state
            all_jobs = jobs.of_request(session, self.request_id)
            log = requests.events_of(session, self.request_id)
        unfinished = [job for job in all_jobs if job.state in jobs.UNFINISHED]
        assert len(unfinished) <= 1
        if self.job is not None:
            newest = next(job for job in all_jobs if job.id == self.job)
            assert (newest.state, newest.attempts) == (self.job_state, self.attempts)
        assert bool(unfinished) == (self.state in states.UNDERWAY)
        self._log_is_a_legal_path([event for event in log if "to" in event.body])

    def _log_is_a_legal_path(self, log) -> None:  # type: ignore[no-untyped-def]
        at = "received"
        for entry in log:
            assert entry.body["from"] == at
            assert states.TRANSITIONS[at, entry.kind.removeprefix("request.")] == entry.body["to"]
            at = entry.body["to"]
        assert at == self.state

    def _held_by(self, worker: str) -> bool:
        return self.job_state == "running" and self.holder == worker

    def _expired(self) -> bool:
        return self.job_state == "running" and self.lease_left < 0

    def _job_failed(self) -> None:
        self.job_state = "failed"
        if (self.state, "give_up") in states.TRANSITIONS:
            self.state = "failed"

    def teardown(self) -> None:
        self.clock.stop()
        self.database.close()
        shutil.rmtree(self.folder)


RequestMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRequestMachine = RequestMachine.TestCase
