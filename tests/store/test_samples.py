"""Batches of samples: in order, bound to their place, sealed, and gone with the texts."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import audits, jobs, rechecks, retention, samples
from store.database import Database
from store.errors import RequestBusy, UnknownRun, VaultError
from store.models import AuditBatch, AuditRun, Job
from store.vault import Vault
from tests.store.scenes import CLEO, completed


@pytest.fixture
def job(database: Database, vault: Vault) -> Job:
    return completed(database, vault, CLEO, kind="censor")


@pytest.fixture
def run(database: Database, vault: Vault, job: Job) -> AuditRun:
    assert job.request_id is not None
    with database.session() as session:
        return audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)


def add(database: Database, vault: Vault, run: AuditRun, step: str, *batches: bytes) -> None:
    for data in batches:
        with database.session() as session:
            samples.append(session, vault, run.id, step, data)


def read(database: Database, vault: Vault, run: AuditRun, step: str) -> list[bytes]:
    with database.session(read_only=True) as session:
        return samples.read(session, vault, run.id, step)


def test_batches_come_back_in_order_step_by_step(database: Database, vault: Vault, run: AuditRun) -> None:
    add(database, vault, run, "after.frame", b"one", b"two", b"three")
    add(database, vault, run, "after.alias", b"other")
    assert read(database, vault, run, "after.frame") == [b"one", b"two", b"three"]
    with database.session() as session:
        samples.keep(session, vault, run.id, "after.frame", [b"one", b"t"])
    assert read(database, vault, run, "after.frame") == [b"one", b"t"]
    with database.session() as session:
        samples.clear(session, run.id, "after.frame")
    assert read(database, vault, run, "after.frame") == []
    assert read(database, vault, run, "after.alias") == [b"other"]


def test_a_batch_is_sealed_and_opens_at_its_place_only(
    database: Database, vault: Vault, run: AuditRun
) -> None:
    add(database, vault, run, "after.frame", b"glassblower", b"glassblower")
    with database.session() as session:
        first, second = session.scalars(sa.select(AuditBatch).order_by(AuditBatch.number))
        assert b"glassblower" not in first.ciphertext
        assert first.ciphertext != second.ciphertext
        first.ciphertext = second.ciphertext
    with pytest.raises(VaultError):
        read(database, vault, run, "after.frame")


def test_a_batch_needs_a_run(database: Database, vault: Vault) -> None:
    with pytest.raises(UnknownRun), database.session() as session:
        samples.append(session, vault, "run_nothing", "after", b"x")


def test_samples_of_an_audit_that_never_ended_go_with_the_texts(
    database: Database, vault: Vault, job: Job, run: AuditRun
) -> None:
    assert job.request_id is not None
    add(database, vault, run, "after.frame", b"glassblower")
    with pytest.raises(RequestBusy), database.session() as session:
        retention.destroy_texts(session, vault, job.request_id, actor="admin")
    with database.session() as session:
        audits.end_run(session, run.id, "stopped", actor="admin")
    with database.session() as session:
        retention.destroy_texts(session, vault, job.request_id, actor="admin")
    with database.session(read_only=True) as session:
        assert session.scalars(sa.select(AuditBatch)).all() == []


def test_a_recheck_goes_on_only_from_its_own_job(database: Database, vault: Vault, job: Job) -> None:
    assert job.request_id is not None
    with database.session() as session:
        row = rechecks.schedule(session, job.request_id, 7, "admin")
        first = rechecks.run_now(session, row.id, actor="admin")
        again = audits.start_run(
            session, vault, request_id=job.request_id, job_id=first.id, recheck_id=row.id
        )
        assert jobs.claim(session, first.id, "worker", 60)
    with database.session() as session:
        same = audits.start_run(session, vault, request_id=job.request_id, job_id=first.id, recheck_id=row.id)
        assert same.id == again.id
        strange = audits.start_run(
            session, vault, request_id=job.request_id, job_id=job.id, recheck_id=row.id
        )
        assert strange.id != again.id, "what another job left behind is months old"
        jobs.fail(session, first.id, "worker", "SomeError", retry=False)
    with database.session() as session:
        assert audits.get_run(session, again.id).state == "failed"
        second = rechecks.run_now(session, row.id, actor="admin")
        other = audits.start_run(
            session, vault, request_id=job.request_id, job_id=second.id, recheck_id=row.id
        )
        assert other.id != again.id
