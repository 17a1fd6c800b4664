"""A job is held by one worker at a time, survives a dead one, and is not tried for ever."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from store import clocks, facts, jobs, requests
from store.database import Database
from store.errors import LeaseLost, UnknownJob
from store.models import Job
from store.vault import Vault
from tests.store.scenes import ANA, CLEO, approved, moved

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """Time stands still unless a test moves it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def job(database: Database, vault: Vault) -> Job:
    return approved(database, vault, CLEO, kind="censor")


def claimed(database: Database, job_id: str, worker: str = "a", lease_s: float = 60) -> Job | None:
    with database.session() as session:
        return jobs.claim(session, job_id, worker, lease_s)


def state_of(database: Database, job_id: str) -> str:
    with database.session(read_only=True) as session:
        return jobs.get(session, job_id).state


def request_state(database: Database, job: Job) -> str:
    assert job.request_id is not None
    with database.session(read_only=True) as session:
        return requests.get(session, job.request_id).state


def test_a_claim_takes_the_job_once(database: Database, job: Job) -> None:
    mine = claimed(database, job.id)
    assert mine is not None
    assert (mine.state, mine.worker, mine.attempts) == ("running", "a", 1)
    assert mine.lease_until == START + timedelta(seconds=60)
    assert claimed(database, job.id, "b") is None
    assert claimed(database, job.id, "a") is None
    with pytest.raises(UnknownJob):
        claimed(database, "job_none")


def test_a_heartbeat_extends_the_lease_of_its_holder_only(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    claimed(database, job.id)
    clock.shift(50)
    with database.session() as session:
        assert jobs.heartbeat(session, job.id, "a", 60)
        assert not jobs.heartbeat(session, job.id, "b", 60)
    clock.shift(50)
    assert claimed(database, job.id, "b") is None


def test_an_expired_lease_can_be_claimed_and_the_old_holder_can_do_nothing_more(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    claimed(database, job.id)
    clock.shift(61)
    again = claimed(database, job.id, "b")
    assert again is not None
    assert (again.worker, again.attempts) == ("b", 2)
    with database.session() as session:
        assert not jobs.heartbeat(session, job.id, "a", 60)
        assert not jobs.release(session, job.id, "a")
    for act in (jobs.hold, jobs.finish, lambda *a: jobs.fail(*a, "X")):
        with pytest.raises(LeaseLost), database.session() as session:
            act(session, job.id, "a")
    assert state_of(database, job.id) == "running"


def test_progress_and_finish(database: Database, job: Job) -> None:
    claimed(database, job.id)
    with database.session() as session:
        jobs.progress(session, job.id, "after", 3, 20)
        row = jobs.hold(session, job.id, "a")
        assert (row.step, row.progress_done, row.progress_total) == ("after", 3, 20)
        done = jobs.finish(session, job.id, "a")
    assert (done.state, done.finished_at, done.lease_until) == ("done", START, None)
    with pytest.raises(LeaseLost), database.session() as session:
        jobs.finish(session, job.id, "a")
    assert claimed(database, job.id, "b") is None


def test_a_failure_with_attempts_left_queues_the_job_again(database: Database, job: Job) -> None:
    claimed(database, job.id)
    with database.session() as session:
        row = jobs.fail(session, job.id, "a", "CheckpointCorrupt")
    assert (row.state, row.error_class, row.worker) == ("queued", "CheckpointCorrupt", None)
    assert request_state(database, job) == "approved"


def test_the_last_failure_fails_the_request(database: Database, job: Job) -> None:
    for _ in range(3):
        claimed(database, job.id)
        with database.session() as session:
            row = jobs.fail(session, job.id, "a", "OutOfMemoryError")
    assert row.state == "failed"
    assert request_state(database, job) == "failed"
    with database.session(read_only=True) as session:
        assert job.request_id is not None
        assert requests.get(session, job.request_id).reason == "The work failed 3 time(s): OutOfMemoryError."
        kinds = [event.kind for event in requests.events_of(session, job.request_id)]
    assert kinds[-2:] == ["job.failed", "request.give_up"]


def test_a_failure_without_retry_is_final(database: Database, job: Job) -> None:
    claimed(database, job.id)
    with database.session() as session:
        assert jobs.fail(session, job.id, "a", "BankFull", retry=False).state == "failed"
    assert request_state(database, job) == "failed"


def test_facts_that_could_not_be_written_are_erased(database: Database, vault: Vault) -> None:
    with database.session() as session:
        [fact], job = facts.register(session, vault, "default", [ANA], actor="me")
    claimed(database, job.id)
    with database.session() as session:
        jobs.fail(session, job.id, "a", "FactTooLong", retry=False)
    with database.session(read_only=True) as session:
        row = facts.get(session, fact.id)
    assert (row.state, row.ciphertext, row.blind_index) == ("failed", None, None)


def test_a_release_gives_the_attempt_back(database: Database, job: Job) -> None:
    for _ in range(5):
        assert claimed(database, job.id)
        with database.session() as session:
            assert jobs.release(session, job.id, "a")
    with database.session(read_only=True) as session:
        row = jobs.get(session, job.id)
    assert (row.state, row.attempts) == ("queued", 0)


def test_a_sweep_wakes_what_a_dead_worker_left(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    claimed(database, job.id)
    with database.session() as session:
        assert jobs.sweep(session, clocks.now()) == []
    clock.shift(61)
    with database.session() as session:
        assert [row.id for row in jobs.sweep(session, clocks.now())] == [job.id]
        assert jobs.sweep(session, clocks.now()) == []
    assert state_of(database, job.id) == "queued"


def test_a_sweep_wakes_old_queued_jobs_now_and_then(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    woken = []
    for _ in range(7):
        with database.session() as session:
            woken.append(len(jobs.sweep(session, clocks.now(), wake_after_s=15)))
        clock.shift(5)
    assert woken == [0, 0, 0, 1, 0, 0, 1]


def test_a_job_that_kills_every_worker_fails_and_its_request_with_it(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    assert job.request_id is not None
    moved(database, job.request_id, "start")
    for _ in range(3):
        assert claimed(database, job.id)
        clock.shift(61)
        with database.session() as session:
            woken = jobs.sweep(session, clocks.now())
    assert woken == []
    with database.session(read_only=True) as session:
        row = jobs.get(session, job.id)
    assert (row.state, row.error_class, row.attempts) == ("failed", "LeaseExpired", 3)
    assert request_state(database, job) == "failed"


def test_a_claim_after_the_last_attempt_fails_the_job_too(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    for _ in range(3):
        assert claimed(database, job.id)
        clock.shift(61)
    assert claimed(database, job.id) is None
    assert state_of(database, job.id) == "failed"
    assert request_state(database, job) == "failed"


def test_a_recheck_that_fails_leaves_its_request_alone(database: Database, job: Job) -> None:
    assert job.request_id is not None
    moved(database, job.request_id, "start", "applied", "audited_clean")
    with database.session() as session:
        check = jobs.create(
            session, "recheck", bank_id=job.bank_id, request_id=job.request_id, max_attempts=1
        )
    claimed(database, check.id)
    with database.session() as session:
        jobs.fail(session, check.id, "a", "Broken")
    assert request_state(database, job) == "completed"


def test_a_clock_that_is_set_back_keeps_no_dead_workers_job_for_hours(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    claimed(database, job.id)
    clock.shift(-3600)
    with database.session() as session:
        assert [row.id for row in jobs.sweep(session, clocks.now())] == [job.id]
    again = claimed(database, job.id, "b")
    assert again is not None
    assert again.lease_until == START - timedelta(seconds=3600 - 60)


def test_a_worker_that_lives_keeps_its_job_when_the_clock_is_set_back(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    claimed(database, job.id)
    clock.shift(-3600)
    with database.session() as session:
        assert jobs.heartbeat(session, job.id, "a", 60)
        assert jobs.sweep(session, clocks.now()) == []
    assert claimed(database, job.id, "b") is None


def test_a_queued_job_is_woken_after_the_clock_was_set_back(
    database: Database, job: Job, clock: time_machine.Traveller
) -> None:
    clock.shift(-3600)
    with database.session() as session:
        assert [row.id for row in jobs.sweep(session, clocks.now())] == [job.id]
        assert jobs.sweep(session, clocks.now()) == []
