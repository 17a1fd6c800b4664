"""Several processes and threads at once: one wins, the others hear it in words, nobody sees a locked
database.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from queue import Queue

import pytest

from store import clocks, events, facts, idempotency, jobs, ledger, people, rechecks, requests, states
from store.database import Database
from store.errors import AlreadyScheduled, DuplicateFact, EmailTaken, IllegalTransition, StaleRevision
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, approved, completed, submitted, written

THREADS = 4


def race(database: Database, act: Callable[[Database, int], object]) -> Counter[str]:
    """Let threads, each with its own connections, do the same at the same moment; count what came of it."""
    barrier, outcomes = threading.Barrier(THREADS), Queue[str]()
    url = database.engine.url.render_as_string(hide_password=False)

    def run(number: int) -> None:
        own = Database(url)
        own.is_current()
        barrier.wait(30)
        try:
            outcomes.put(type(act(own, number)).__name__)
        except Exception as error:
            outcomes.put(type(error).__name__)
        own.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return Counter(outcomes.queue)


def test_one_of_several_claims_wins(database: Database, vault: Vault) -> None:
    job = approved(database, vault, CLEO, kind="censor")

    def claim(own: Database, number: int) -> object:
        with own.session() as session:
            return jobs.claim(session, job.id, f"worker{number}", 60)

    assert race(database, claim) == {"Job": 1, "NoneType": THREADS - 1}
    with database.session(read_only=True) as session:
        assert jobs.get(session, job.id).attempts == 1


def test_one_of_several_revision_commits_wins(database: Database, vault: Vault) -> None:
    ids = written(database, vault, ANA, BEN)
    with database.session(read_only=True) as session:
        bank_id = ledger.bank(session, "default").id

    def commit(own: Database, number: int) -> object:
        with own.session() as session:
            return ledger.commit_revision(
                session,
                vault,
                bank_id,
                expected_revision=1,
                add={},
                remove=[ids[number % 2]],
                digest=str(number),
                reason="race",
            )

    assert race(database, commit) == {"int": 1, StaleRevision.__name__: THREADS - 1}
    with database.session(read_only=True) as session:
        assert ledger.get_bank(session, bank_id).revision == 2
        assert len(ledger.entries(session, vault, bank_id)) == 1


def test_one_of_several_approvals_wins(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")

    def approve(own: Database, number: int) -> object:
        with own.session() as session:
            return requests.approve(session, request.id, actor=f"reviewer{number}")

    assert race(database, approve) == {"Job": 1, IllegalTransition.__name__: THREADS - 1}
    with database.session(read_only=True) as session:
        assert len(jobs.of_request(session, request.id)) == 1
        assert len(requests.events_of(session, request.id)) == 2


def test_one_of_several_schedules_wins(database: Database, vault: Vault) -> None:
    request_id = completed(database, vault, CLEO, kind="censor").request_id
    assert request_id is not None

    def schedule(own: Database, number: int) -> object:
        with own.session() as session:
            return rechecks.schedule(session, request_id, number + 1, "auditor")

    assert race(database, schedule) == {"Recheck": 1, AlreadyScheduled.__name__: THREADS - 1}


def test_one_of_approval_and_denial_wins(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")

    def decide(own: Database, number: int) -> object:
        with own.session() as session:
            if number % 2:
                return requests.approve(session, request.id, actor="reviewer").state
            return requests.deny(session, request.id, actor="reviewer", reason="no").state

    assert race(database, decide) == {"str": 1, IllegalTransition.__name__: THREADS - 1}
    with database.session(read_only=True) as session:
        jobs_made = len(jobs.of_request(session, request.id))
        assert jobs_made == (1 if requests.get(session, request.id).state == "approved" else 0)


def test_two_requests_for_one_fact_are_not_both_approved(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    ids = [submitted(database, vault, ANA).id for _ in range(THREADS)]

    def approve(own: Database, number: int) -> object:
        with own.session() as session:
            return requests.approve(session, ids[number], actor="reviewer")

    assert race(database, approve) == {"Job": 1, "AlreadyUnderway": THREADS - 1}


def test_cancelling_under_a_working_worker_does_not_deadlock(database: Database, vault: Vault) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    request_id = job.request_id
    with database.session() as session:
        assert jobs.claim(session, job.id, "w", 60)
    held = threading.Event()

    def act(own: Database, number: int) -> object:
        if number:
            held.wait(30)
            with own.session() as session:
                return requests.cancel(session, request_id, actor="requester")
        with own.session() as session:
            jobs.hold(session, job.id, "w")
            held.set()
            time.sleep(0.3)  # the others come to the lock
            return states.transition(session, request_id, "start", actor="w")

    assert race(database, act) == {"Request": 1, IllegalTransition.__name__: THREADS - 1}


@pytest.mark.parametrize("bank", ["default", "new-bank"])
def test_a_fact_is_registered_once(database: Database, vault: Vault, bank: str) -> None:
    written(database, vault, BEN)

    def register(own: Database, number: int) -> object:
        with own.session() as session:
            return facts.register(session, vault, bank, [ANA], actor="me")

    assert race(database, register) == {"tuple": 1, DuplicateFact.__name__: THREADS - 1}


def test_an_address_is_registered_once(database: Database) -> None:
    def create(own: Database, number: int) -> object:
        with own.session() as session:
            return people.create_user(session, "a@example.org", "A", "admin", "long enough password")

    assert race(database, create) == {"User": 1, EmailTaken.__name__: THREADS - 1}


def test_a_post_is_done_once(database: Database, vault: Vault) -> None:
    place = {"key": "k", "user_id": "u", "route": "r"}

    def post(own: Database, number: int) -> object:
        with own.session() as session:
            stored = idempotency.begin(session, vault, **place, body=b"{}")
            if stored is None:
                events.append(session, "done", actor="me")
                idempotency.complete(session, **place, status=201, body=b"x")
            return stored

    assert race(database, post) == {"NoneType": 1, "StoredResponse": THREADS - 1}
    with database.session(read_only=True) as session:
        assert len(events.list_events(session)) == 1


def test_two_beats_enqueue_a_recheck_once(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = completed(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    with database.session() as session:
        due = rechecks.schedule(session, job.request_id, 1, "auditor").next_at

    def tick(own: Database, number: int) -> object:
        with own.session() as session:
            return None if rechecks.enqueue_due(session, due) else 0

    assert race(database, tick) == {"NoneType": 1, "int": THREADS - 1}


def test_two_sweeps_wake_a_job_once(database: Database, vault: Vault) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    with database.session() as session:
        assert jobs.claim(session, job.id, "dead", -1)

    def sweep(own: Database, number: int) -> object:
        with own.session() as session:
            return None if jobs.sweep(session, clocks.now()) else 0

    assert race(database, sweep) == {"NoneType": 1, "int": THREADS - 1}


def test_processes_may_start_on_an_empty_file_together_and_never_see_a_lock(tmp_path: Path) -> None:
    """Each migrates, then reads and writes in turns, and erases, so that scrubs happen all the time."""
    url = f"sqlite:///{tmp_path}/unwrite.db"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(url, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with Database(url).session(read_only=True) as session:
        log = events.list_events(session, limit=1000)
    assert Counter(event.actor for event in log) == {f"process{number}": 20 for number in range(3)}


def _work(url: str, number: int) -> None:
    from store.database import erases

    database = Database(url)
    database.migrate()
    for turn in range(20):
        with database.session() as session:
            events.list_events(session)
            events.append(session, "turn", actor=f"process{number}", body={"turn": turn})
            if turn % 5 == 0:
                erases(session)
        with database.session(read_only=True) as session:
            assert len(events.list_events(session, limit=1000)) > turn
