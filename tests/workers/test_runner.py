"""The runner: failures are counted and capped, the sweep finds what was left, nothing personal is logged."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog
import time_machine

from store import clocks, idempotency, jobs, people, rechecks
from store.models import IdempotencyKey, UserSession
from store.texts import FactText
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar
from workers.app import beat_schedule, worker_app
from workers.lease import Lease

CANARY = "Canary Quetzalcoatl"


def explode() -> None:
    raise RuntimeError(f"the model saw {CANARY}")


def test_a_failing_job_is_tried_three_times_and_then_a_person_decides(
    shop: Shop, written: Callable[[int], list[FactText]]
) -> None:
    request_id = shop.submit("forget", written(3)[:1])
    job = shop.approve(request_id)
    FakeLarimar.on_generate = explode
    for attempt in (1, 2, 3):
        assert not shop.runner().run(job.id)
        assert shop.job(job.id).attempts == attempt
    assert shop.job(job.id).state == "failed"
    assert shop.job(job.id).error_class == "RuntimeError"
    assert shop.request(request_id).state == "failed"
    assert not shop.runner().run(job.id)


def test_an_error_is_logged_by_class_and_place_and_never_by_its_text(
    shop: Shop, written: Callable[[int], list[FactText]], capsys: pytest.CaptureFixture[str]
) -> None:
    job = shop.approve(shop.submit("forget", written(3)[:1]))
    FakeLarimar.on_generate = explode
    with structlog.testing.capture_logs() as logs:
        shop.runner().run(job.id)
    [line] = [entry for entry in logs if entry["event"] == "job failed"]
    assert line["error"] == "RuntimeError"
    assert line["at"].startswith("test_runner.py:")
    assert CANARY not in str(logs) + "".join(capsys.readouterr())


def test_the_sweep_wakes_workers_for_what_a_dead_one_left(shop: Shop) -> None:
    job = shop.write(shop.texts(1))
    with shop.database.session() as session:
        jobs.claim(session, job.id, "dead", 5)
        jobs.hold(session, job.id, "dead").lease_until = clocks.now() - timedelta(seconds=1)
    runner = shop.runner("alive")
    woken: list[tuple[str, str]] = []
    runner.wake = lambda job_id, queue: woken.append((job_id, queue))
    assert runner.sweep() == 1
    assert woken == [(job.id, "model")]
    assert runner.run(job.id)
    assert shop.job(job.id).attempts == 2


def test_a_long_job_keeps_its_lease_by_heartbeat(shop: Shop) -> None:
    import threading

    job_id = shop.write(shop.texts(1)).id
    with shop.database.session() as session:
        job = jobs.claim(session, job_id, "busy", 0.3)
    assert job is not None
    over = threading.Event()
    with Lease(shop.database, job, "busy", lease_s=0.3, heartbeat_s=0.05, stop=threading.Event()):
        over.wait(1.0)
        with shop.database.session() as session:
            assert jobs.claim(session, job_id, "thief", 5) is None


def test_a_broken_database_does_not_stop_the_worker(shop: Shop) -> None:
    runner = shop.runner()
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE job RENAME TO gone")
    assert not runner.run("job_any")
    assert runner.sweep() == 0
    assert runner.enqueue_rechecks() == 0
    with shop.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE idempotency_key")
    runner.purge()


def test_a_scheduled_recheck_has_as_many_attempts_as_the_operator_says(
    shop: Shop, written: Callable[[int], list[FactText]]
) -> None:
    request_id = shop.submit("forget", written(3)[:1])
    runner = shop.runner()
    assert runner.run(shop.approve(request_id).id)
    with shop.database.session() as session:
        rechecks.schedule(session, request_id, 1, "usr_two")
    shop.settings = shop.settings.model_copy(update={"max_attempts": 7})
    with time_machine.travel(clocks.now() + timedelta(days=2)):
        assert shop.runner().enqueue_rechecks() == 1
    with shop.database.session(read_only=True) as session:
        assert jobs.of_request(session, request_id)[-1].max_attempts == 7


def test_the_clock_ends_what_is_kept_for_a_while_only(shop: Shop) -> None:
    place = {"key": "k", "user_id": "usr_a", "route": "POST /requests"}
    with shop.database.session() as session:
        user = people.create_user(session, "a@example.org", "A", "admin", "long enough password")
        people.open_session(session, user)
        idempotency.begin(session, shop.vault, **place, body=b"{}")
        idempotency.complete(session, **place, status=200, body=b'{"reason": "not the person"}')
    app = worker_app(shop.settings, shop.runner())
    ticks = {entry["task"] for entry in beat_schedule(shop.settings).values()}
    assert ticks <= set(app.tasks)

    def kept() -> int:
        with shop.database.session(read_only=True) as session:
            return sum(
                session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in (UserSession, IdempotencyKey)
            )

    for tick in ticks:
        app.tasks[tick]()
    assert kept() == 2
    with time_machine.travel(clocks.now() + timedelta(days=2)):
        for tick in ticks:
            app.tasks[tick]()
    assert kept() == 0
