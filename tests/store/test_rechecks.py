"""Re-checks come round on their day, once, whoever asks how often."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy.exc import IntegrityError

from store import clocks, jobs, recheck_runs, rechecks, requests
from store.database import Database
from store.errors import AlreadyScheduled, IllegalTransition, InvalidInput, RecheckCancelled, UnknownRecheck
from store.models import Job, Recheck
from store.requests import Submission
from store.vault import Vault
from tests.store.scenes import ANA, CLEO, completed, moved, submitted, written

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def recheck(database: Database, vault: Vault) -> Recheck:
    written(database, vault, ANA)
    job = completed(database, vault, ANA)
    assert job.request_id is not None
    with database.session() as session:
        return rechecks.schedule(session, job.request_id, 7, "auditor")


def tick(database: Database) -> list[Job]:
    with database.session() as session:
        return rechecks.enqueue_due(session, clocks.now())


def test_a_due_recheck_becomes_one_job(
    database: Database, recheck: Recheck, clock: time_machine.Traveller
) -> None:
    assert tick(database) == []
    clock.shift(timedelta(days=7))
    [job] = tick(database)
    assert (job.kind, job.request_id, job.recheck_id) == ("recheck", recheck.request_id, recheck.id)
    assert len(job.fact_ids) == 1
    assert tick(database) == []


def test_an_unfinished_job_holds_the_next_one_back(
    database: Database, recheck: Recheck, clock: time_machine.Traveller
) -> None:
    clock.shift(timedelta(days=7))
    [job] = tick(database)
    clock.shift(timedelta(days=30))
    assert tick(database) == []
    with database.session() as session:
        assert jobs.claim(session, job.id, "w", 60)
        jobs.finish(session, job.id, "w")
    with database.session(read_only=True) as session:
        assert rechecks.get(session, recheck.id).last_run_at == clocks.now()
    assert len(tick(database)) == 1


def test_a_cancelled_recheck_never_comes_again(
    database: Database, recheck: Recheck, clock: time_machine.Traveller
) -> None:
    with database.session() as session:
        assert not rechecks.cancel(session, recheck.id, actor="auditor").active
        rechecks.cancel(session, recheck.id, actor="auditor")
        assert rechecks.list_rechecks(session, active=True) == []
        assert len(rechecks.list_rechecks(session, request_id=recheck.request_id)) == 1
    clock.shift(timedelta(days=70))
    assert tick(database) == []


def test_cancelled_and_foreign_rechecks_do_not_crowd_out_active_ones(
    database: Database, recheck: Recheck, vault: Vault
) -> None:
    with database.session() as session:
        rechecks.cancel(session, recheck.id, actor="auditor")
        for _ in range(3):
            sooner = rechecks.schedule(session, recheck.request_id, 1, "auditor")
            rechecks.cancel(session, sooner.id, actor="auditor")
        recheck = rechecks.schedule(session, recheck.request_id, 7, "auditor")
        listed = [row.id for row in rechecks.list_rechecks(session, limit=2)]
        cancelled = [row for row in rechecks.list_rechecks(session, active=False) if row.every_days == 1]
        assert listed == [recheck.id, min(row.id for row in cancelled)]
    with database.session() as session:
        submission = Submission("censor", [CLEO])
        theirs = requests.submit(session, vault, submission, actor="somebody else")
    moved(database, theirs.id, "approve", "start", "applied", "audited_clean")
    with database.session() as session:
        other = rechecks.schedule(session, theirs.id, 1, "auditor")
        mine = rechecks.list_rechecks(session, submitted_by="requester", limit=1)
        assert [row.id for row in mine] == [recheck.id]
        assert [row.id for row in rechecks.list_rechecks(session, submitted_by="somebody else")] == [other.id]


def test_now_is_possible_and_once(database: Database, recheck: Recheck) -> None:
    with database.session() as session:
        job = rechecks.run_now(session, recheck.id, actor="auditor")
        assert rechecks.run_now(session, recheck.id, actor="auditor").id == job.id


def test_a_request_has_one_recheck_at_a_time(database: Database, recheck: Recheck) -> None:
    with database.session() as session:
        with pytest.raises(AlreadyScheduled, match="Cancel it first"):
            rechecks.schedule(session, recheck.request_id, 30, "auditor")
        found = rechecks.active_of(session, recheck.request_id)
        assert found is not None
        assert (found.id, found.every_days) == (recheck.id, 7)
        rechecks.cancel(session, recheck.id, actor="auditor")
        assert rechecks.active_of(session, recheck.request_id) is None
        rechecks.schedule(session, recheck.request_id, 30, "auditor")


def test_the_database_itself_refuses_a_second_active_one(database: Database, recheck: Recheck) -> None:
    second = {"id": "chk_second", "request_id": recheck.request_id, "every_days": 1, "next_at": START}
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(Recheck(**second, active=True, created_by="auditor"))


def test_a_cancelled_one_is_not_run_by_hand(database: Database, recheck: Recheck) -> None:
    with database.session() as session:
        rechecks.run_now(session, recheck.id, actor="auditor")
        rechecks.cancel(session, recheck.id, actor="auditor")
        with pytest.raises(RecheckCancelled, match="Schedule a new one"):
            rechecks.run_now(session, recheck.id, actor="auditor")
        assert len([job for job in jobs.of_request(session, recheck.request_id) if job.recheck_id]) == 1


def run(database: Database, recheck: Recheck, error: str = "", attempts: int = 3) -> Job:
    """One run of a re-check by a worker: finished, or failed for good."""
    with database.session() as session:
        job = rechecks.run_now(session, recheck.id, actor="auditor", max_attempts=attempts)
        assert jobs.claim(session, job.id, "w", 60)
        if error:
            return jobs.fail(session, job.id, "w", error, retry=False)
        return jobs.finish(session, job.id, "w")


def alerts(database: Database, recheck: Recheck) -> list[object]:
    with database.session(read_only=True) as session:
        told = requests.events_of(session, recheck.request_id)
    return [event.body for event in told if event.kind == "recheck.alert"]


def test_a_run_that_fails_for_good_raises_the_alert(
    database: Database, recheck: Recheck, clock: time_machine.Traveller
) -> None:
    run(database, recheck)
    assert alerts(database, recheck) == []
    clock.shift(timedelta(hours=1))
    run(database, recheck, "OutOfMemoryError")
    told = {"recheck": recheck.id, "verdict": "unfinished", "restated": 0}
    assert alerts(database, recheck) == [told]
    with database.session() as session:
        job = rechecks.run_now(session, recheck.id, actor="auditor", max_attempts=1)
        assert jobs.claim(session, job.id, "w", 60)
    clock.shift(timedelta(hours=1))
    with database.session() as session:
        jobs.sweep(session, clocks.now())
    assert alerts(database, recheck) == [told, told], "its worker died"


def test_a_request_needs_attention_while_the_newest_run_of_its_recheck_failed(
    database: Database, recheck: Recheck, clock: time_machine.Traveller
) -> None:
    def state() -> tuple[str | None, set[str]]:
        clock.shift(timedelta(hours=1))
        with database.session(read_only=True) as session:
            newest = recheck_runs.newest(session, [recheck.id, "chk_none"])
            failed = recheck_runs.failed_among(session, [recheck.request_id, "req_none"])
            listed = requests.list_requests(session, states=("failed",), failed_rechecks=True)
            assert {item.id for item in listed.items} == failed
        return (newest[recheck.id].error_class or "" if newest else None), failed

    assert state() == (None, set())
    run(database, recheck, "BankFull")
    assert state() == ("BankFull", {recheck.request_id})
    run(database, recheck)
    assert state() == ("", set())
    run(database, recheck, "BankFull")
    with database.session() as session:
        rechecks.run_now(session, recheck.id, actor="auditor")
    assert state() == ("BankFull", {recheck.request_id}), "the next one is only queued"
    with database.session() as session:
        assert rechecks.stop(session, recheck.id, actor="auditor")
    assert state() == (jobs.CANCELLED, set()), "somebody saw to it"
    run(database, recheck, "BankFull")
    with database.session() as session:
        rechecks.cancel(session, recheck.id, actor="auditor")
    assert state() == ("BankFull", set())


def test_only_audited_requests_and_sensible_days(database: Database, vault: Vault, recheck: Recheck) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session() as session:
        with pytest.raises(IllegalTransition):
            rechecks.schedule(session, request.id, 7, "auditor")
        for days in (0, 367):
            with pytest.raises(InvalidInput):
                rechecks.schedule(session, recheck.request_id, days, "auditor")
        for ask in (rechecks.get, lambda s, i: rechecks.run_now(s, i, actor="x")):
            with pytest.raises(UnknownRecheck):
                ask(session, "chk_none")
