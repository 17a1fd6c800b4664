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
from store.models import Job, Recheck, Request
from store.pages import encode_cursor
from store.requests import Submission
from store.texts import FactText
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
        assert [row.active for row in rechecks.list_rechecks(session).items] == [False]
    clock.shift(timedelta(days=70))
    assert tick(database) == []


def completed_by(database: Database, vault: Vault, user: str, prompt: str) -> Request:
    with database.session() as session:
        submission = Submission("censor", [FactText(prompt, "glassblower")])
        made = requests.submit(session, vault, submission, actor=user)
    return moved(database, made.id, "approve", "start", "applied", "audited_clean")


def pages_of(database: Database, **more: object) -> list[Recheck]:
    """All re-checks, two a page."""
    with database.session(read_only=True) as session:
        page = rechecks.list_rechecks(session, limit=2, **more)  # type: ignore[arg-type]
        found = list(page.items)
        while page.next_cursor is not None:
            page = rechecks.list_rechecks(session, limit=2, cursor=page.next_cursor, **more)  # type: ignore[arg-type]
            assert 1 <= len(page.items) <= 2
            found += page.items
    return found


def test_all_are_listed_page_by_page_the_active_ones_first(
    database: Database, recheck: Recheck, vault: Vault
) -> None:
    with database.session() as session:
        rechecks.cancel(session, recheck.id, actor="auditor")
        for days in (3, 1, 2, 5):
            sooner = rechecks.schedule(session, recheck.request_id, days, "auditor")
            if days != 5:
                rechecks.cancel(session, sooner.id, actor="auditor")
    for number, days in enumerate((9, 4, 4)):
        theirs = completed_by(database, vault, "somebody else", f"Cleo {number} works as a")
        with database.session() as session:
            rechecks.schedule(session, theirs.id, days, "auditor")
    listed = pages_of(database)
    told = [(row.active, row.every_days) for row in listed]
    active, cancelled = [4, 4, 5, 9], [1, 2, 3, 7]
    assert told == [*((True, days) for days in active), *((False, days) for days in cancelled)]
    assert len({row.id for row in listed}) == 8
    mine = [(row.active, row.every_days) for row in pages_of(database, submitted_by="requester")]
    assert mine == [(True, 5), *((False, days) for days in cancelled)]


@pytest.mark.parametrize(
    "cursor", ["nonsense", encode_cursor(START, "chk_a"), encode_cursor(START, "2|chk_a")]
)
def test_a_cursor_of_another_list_is_refused(database: Database, cursor: str) -> None:
    with database.session(read_only=True) as session, pytest.raises(InvalidInput, match="first page"):
        rechecks.list_rechecks(session, cursor=cursor)


def test_requests_with_a_recheck_do_not_crowd_out_those_without(
    database: Database, recheck: Recheck, vault: Vault, clock: time_machine.Traveller
) -> None:
    for number in range(2):
        clock.shift(timedelta(minutes=1))
        newer = completed_by(database, vault, "somebody else", f"Cleo {number} works as a")
        with database.session() as session:
            rechecks.schedule(session, newer.id, 1, "auditor")
    submitted(database, vault, CLEO, kind="censor")
    with database.session() as session:
        assert rechecks.schedulable(session, limit=1) == []
        rechecks.cancel(session, recheck.id, actor="auditor")
        assert [item.id for item in rechecks.schedulable(session, limit=1)] == [recheck.request_id]
        assert rechecks.schedulable(session, submitted_by="somebody else") == []


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
            failed = set(recheck_runs.troubles_among(session, [recheck.request_id, "req_none"]))
            listed = requests.list_requests(session, states=("failed",), troubled_rechecks=True)
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
