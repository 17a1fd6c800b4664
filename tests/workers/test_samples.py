"""The samples of a running audit: encrypted, kept batch by batch, taken up by whoever comes next, never mended."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from audit.journal import chained, read_chain
from audit.transcript import Transcript
from store import audits, clocks, jobs, rechecks, requests, samples
from store.errors import DiskFull
from store.models import AuditBatch, AuditRun
from store.texts import FactText
from tests.workers.conftest import Shop
from tests.workers.fakes import FakeLarimar

Written = Callable[[int], list[FactText]]
FACTS = 12  # x 4 phrasings = 48 probes = 3 batches a phase


class Killed(BaseException):
    """Stands for SIGKILL where one process is enough."""


def approved(shop: Shop, kind: str, texts: list[FactText]) -> tuple[str, str]:
    request_id = shop.submit(kind, texts)
    return request_id, shop.approve(request_id).id


def run_of(shop: Shop, request_id: str) -> AuditRun:
    with shop.database.session(read_only=True) as session:
        return audits.runs_of(session, request_id)[-1]


def looks_of(shop: Shop, request_id: str) -> list[int]:
    """The number of looks in each report, newest first."""
    with shop.database.session(read_only=True) as session:
        return [
            json.loads(report.json)["groups"][0]["looks"] for report in audits.reports_of(session, request_id)
        ]


def batches(shop: Shop, request_id: str, step: str = "before.rephrase") -> bytes:
    run = run_of(shop, request_id)
    with shop.database.session(read_only=True) as session:
        return b"".join(samples.read(session, shop.vault, run.id, step))


def transcript(shop: Shop, request_id: str, phase: str = "before") -> Transcript:
    run = run_of(shop, request_id)
    with shop.database.session(read_only=True) as session:
        data = audits.transcript(session, shop.vault, run.id, phase)
    assert data is not None
    return Transcript.from_bytes(data)


def lease_runs_out(shop: Shop, job_id: str, worker: str = "first") -> None:
    with shop.database.session() as session:
        jobs.hold(session, job_id, worker).lease_until = clocks.now()


def stop_at(call: int, how: Callable[[], None]) -> None:
    """Let `how` happen when the model is asked for the `call`-th time from now on."""
    calls: list[int] = []

    def count() -> None:
        calls.append(1)
        if len(calls) == call:
            how()

    FakeLarimar.on_generate = count


def die() -> None:
    raise Killed


def killed_in_the_second_batch(shop: Shop, texts: list[FactText]) -> tuple[str, str]:
    request_id, job_id = approved(shop, "forget", texts)
    stop_at(2, die)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    FakeLarimar.on_generate = None
    return request_id, job_id


def remember(shop: Shop, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Write down every prompt that is answered, also by processes that are killed later."""
    real = shop.larimar.generate

    def generate(self: FakeLarimar, prompts: list[str], **how: Any) -> list[list[str]]:
        said = real(self, prompts, **how)
        with path.open("a") as file:
            file.writelines(json.dumps(prompt) + "\n" for prompt in prompts)
        return said

    monkeypatch.setattr(shop.larimar, "generate", generate)


def test_a_process_killed_in_the_middle_of_a_phase_loses_and_repeats_no_sample(
    shop: Shop, written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request_id, job_id = approved(shop, "forget", written(FACTS))
    shop.database.close()
    asked = tmp_path / "asked"
    remember(shop, monkeypatch, asked)
    child = os.fork()
    if child == 0:  # a process of its own, which nothing warns
        stop_at(3, lambda: os.kill(os.getpid(), signal.SIGKILL))
        shop.runner("first").run(job_id)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    kept = list(read_chain(batches(shop, request_id)))
    assert len(kept) == 1 + 2 * 16 * 5, "the header and two whole batches"
    lease_runs_out(shop, job_id)
    assert shop.runner("second").run(job_id)
    assert shop.request(request_id).state == "completed"
    lines = [line.__dict__ for line in transcript(shop, request_id).lines]
    assert Counter(line["probe"] for line in lines) == dict.fromkeys(range(48), 5)
    head = kept[0][1]
    for (_, digest, _), line in zip(kept[1:], lines, strict=False):
        head = chained(head, line)
        assert digest == head, "the finished phase begins with the very samples that the dead process drew"
    control = asked.read_text().splitlines()[:48]
    assert len(set(control)) == 48, "no prompt of the first phase was answered twice"


def test_what_is_kept_is_encrypted_and_gone_when_the_phase_is_finished(shop: Shop, written: Written) -> None:
    request_id, job_id = killed_in_the_second_batch(shop, written(FACTS))
    assert b"Tongue" in batches(shop, request_id)
    for path in shop.settings.home.iterdir():
        if path.is_file():
            assert b"Tongue" not in path.read_bytes(), path.name
    lease_runs_out(shop, job_id)
    assert shop.runner("second").run(job_id)
    with shop.database.session(read_only=True) as session:
        assert session.scalars(sa.select(AuditBatch)).all() == []


def test_a_phase_whose_model_has_changed_is_begun_again(shop: Shop, written: Written) -> None:
    texts = written(FACTS + 1)
    request_id, job_id = killed_in_the_second_batch(shop, texts[:FACTS])
    _, other = approved(shop, "forget", texts[FACTS:])
    assert shop.runner("other").run(other)
    lease_runs_out(shop, job_id)
    assert shop.runner("second").run(job_id)
    assert Counter(line.probe for line in transcript(shop, request_id).lines) == dict.fromkeys(range(48), 5)


@pytest.mark.parametrize("harm", ["a flipped bit", "a batch taken out", "two batches exchanged"])
def test_changed_samples_are_never_used(shop: Shop, written: Written, harm: str) -> None:
    request_id, job_id = approved(shop, "forget", written(FACTS))
    stop_at(3, die)
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    FakeLarimar.on_generate = None
    with shop.database.session() as session:
        [_, first, second] = session.scalars(sa.select(AuditBatch).order_by(AuditBatch.number)).all()
        if harm == "a flipped bit":
            first.ciphertext = first.ciphertext[:-1] + bytes([first.ciphertext[-1] ^ 1])
        elif harm == "a batch taken out":
            session.delete(first)
        else:
            first.ciphertext, second.ciphertext = second.ciphertext, first.ciphertext
    lease_runs_out(shop, job_id)
    assert not shop.runner("second").run(job_id)
    assert shop.job(job_id).error_class == "TranscriptTampered"
    assert shop.request(request_id).state == "failed"
    assert "audit.tampered" in shop.events(request_id)
    with shop.database.session() as session:
        again = requests.retry(session, request_id, actor="usr_two").id
    assert shop.runner("third").run(again), "a new run begins with samples of its own"
    assert looks_of(shop, request_id) == [1], "nothing was attacked after the removal before"
    assert shop.request(request_id).state == "completed"


def test_an_audit_given_up_while_it_attacked_was_a_look(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(FACTS))
    stop_at(6, die)  # 3 batches before the removal, the third after it
    with pytest.raises(Killed):
        shop.runner("first").run(job_id)
    FakeLarimar.on_generate = None
    with shop.database.session() as session:
        session.delete(session.scalars(sa.select(AuditBatch).order_by(AuditBatch.number)).all()[1])
    lease_runs_out(shop, job_id)
    assert not shop.runner("second").run(job_id)
    assert run_of(shop, request_id).state == "tampered"
    with shop.database.session() as session:
        again = requests.retry(session, request_id, actor="usr_two").id
    assert shop.runner("third").run(again)
    assert looks_of(shop, request_id) == [2]


def test_a_full_disk_costs_no_sample_and_the_job_goes_on(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(FACTS))
    full: list[bool] = []

    def refuse(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if full and statement.startswith("INSERT INTO audit_batch"):
            pages = connection.connection.execute("PRAGMA page_count").fetchone()[0]
            connection.connection.execute(f"PRAGMA max_page_count = {pages}")
        else:
            connection.connection.execute("PRAGMA max_page_count = 1073741823")

    event.listen(shop.database.engine, "before_cursor_execute", refuse)
    stop_at(2, lambda: full.append(True))
    runner = shop.runner("first")
    assert not runner.run(job_id)
    job = shop.job(job_id)
    assert (job.state, job.error_class) == ("queued", DiskFull.__name__)
    kept = batches(shop, request_id)
    assert len(list(read_chain(kept))) >= 1 + 16 * 5
    full.clear()
    FakeLarimar.on_generate = None
    assert runner.run(job_id)
    assert shop.request(request_id).state == "completed"
    lines = transcript(shop, request_id).lines
    assert Counter(line.probe for line in lines) == dict.fromkeys(range(48), 5)
    old = [json.loads(line) for line in kept.splitlines()[1:]]
    assert [line["output"] for line in old] == [line.output for line in lines[: len(old)]]


def test_a_person_stops_an_audit_between_two_batches_and_the_removal_stays(
    shop: Shop, written: Written
) -> None:
    texts = written(FACTS + 1)
    request_id, job_id = approved(shop, "forget", texts[:FACTS])

    def stop() -> None:
        with shop.database.session() as session:
            requests.stop_audit(session, request_id, actor="usr_two")

    stop_at(5, stop)  # 3 batches before the removal, the second after it
    assert not shop.runner("first").run(job_id)
    assert shop.request(request_id).state == "residual"
    assert len(shop.ledger_ids()) == 1
    assert run_of(shop, request_id).state == "stopped"
    assert len(list(read_chain(batches(shop, request_id, "after.rephrase")))) == 1 + 16 * 5
    FakeLarimar.on_generate = None
    with shop.database.session() as session:
        again = requests.retry(session, request_id, actor="usr_two").id
    assert shop.runner("second").run(again)
    assert shop.request(request_id).state == "completed"
    assert looks_of(shop, request_id) == [2], "the stopped audit was a look"
    with shop.database.session(read_only=True) as session:
        [report] = audits.reports_of(session, request_id)
    assert json.loads(report.json)["groups"][0]["requests"][0]["unreported"] == 1


def test_a_stopped_recheck_leaves_nothing_to_the_next_one(shop: Shop, written: Written) -> None:
    request_id, job_id = approved(shop, "forget", written(FACTS)[:FACTS])
    runner = shop.runner("first")
    assert runner.run(job_id)
    with shop.database.session() as session:
        row = rechecks.schedule(session, request_id, 7, "usr_two")
        first = rechecks.run_now(session, row.id, actor="usr_two").id

    def stop() -> None:
        with shop.database.session() as session:
            assert rechecks.stop(session, row.id, actor="usr_two")

    stop_at(2, stop)
    assert not runner.run(first)
    stopped = run_of(shop, request_id)
    assert (stopped.state, shop.job(first).error_class) == ("stopped", "Cancelled")
    FakeLarimar.on_generate = None
    with shop.database.session() as session:
        second = rechecks.run_now(session, row.id, actor="usr_two").id
    assert runner.run(second)
    assert run_of(shop, request_id).id != stopped.id
    assert shop.request(request_id).state == "completed"
