"""When a request is settled, its texts and their keys can be destroyed, and only then."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import audits, events, ledger, rechecks, requests, retention
from store.database import Database
from store.errors import RequestBusy, TextsDestroyed
from store.models import AuditRun, Job, SubjectKey
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, completed, entry_of, submitted, written


def audited(database: Database, vault: Vault, job: Job) -> str:
    """A report on the job's request; its id."""
    assert job.request_id is not None
    with database.session() as session:
        run = audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)
        audits.save_phase(session, vault, run.id, "after", {"leaked": 0}, b"transcript")
        return audits.save_report(
            session, vault, run.id, job.request_id, "pass", b'{"n": 1}', b"<p>Ana</p>"
        ).id


def destroy(database: Database, request_id: str | None) -> int:
    assert request_id is not None
    with database.session() as session:
        return retention.destroy_texts(session, request_id, actor="admin")


def test_texts_transcripts_pages_and_keys_go_and_the_record_stays(database: Database, vault: Vault) -> None:
    written(database, vault, ANA, BEN)
    job = completed(database, vault, ANA)
    report_id = audited(database, vault, job)
    assert job.request_id is not None
    assert destroy(database, job.request_id) == 2  # the subject's key and the run's
    with database.session(read_only=True) as session:
        with pytest.raises(TextsDestroyed):
            requests.facts_of(session, vault, job.request_id)
        assert audits.report_html(session, vault, report_id) is None
        run = session.scalars(sa.select(AuditRun)).one()
        assert audits.transcript(session, vault, run.id, "after") is None
        assert audits.report(session, report_id).json == b'{"n": 1}'
        assert requests.get(session, job.request_id).state == "completed"
        keys = session.scalars(sa.select(SubjectKey)).all()
        assert [key.wrapped_key is None for key in keys] == [key.destroyed_at is not None for key in keys]
        assert sum(key.wrapped_key is None for key in keys) == 2
        log = [event.kind for event in events.list_events(session, request_id=job.request_id)]
        assert log[-3:] == ["request.texts_destroyed", "key.destroyed", "key.destroyed"]
        bank = ledger.bank(session, "default")
        assert len(ledger.entries(session, vault, bank.id)) == 1  # Ben is untouched
    assert destroy(database, job.request_id) == 0


def test_a_key_that_other_facts_of_the_subject_need_is_kept(database: Database, vault: Vault) -> None:
    also_ana = type(ANA)("Ana Kovač lives in", "Maribor", "Ana Kovač")
    [_, kept] = written(database, vault, ANA, also_ana)
    job = completed(database, vault, ANA)
    assert destroy(database, job.request_id) == 0
    with database.session(read_only=True) as session:
        assert ledger.entries(session, vault, ledger.bank(session, "default").id) == [(kept, entry_of(kept))]


def test_a_tombstone_keeps_its_ledger_entry_and_loses_its_text(database: Database, vault: Vault) -> None:
    job = completed(database, vault, CLEO, kind="censor")
    assert destroy(database, job.request_id) == 0
    with database.session(read_only=True) as session:
        [(fact_id, entry)] = ledger.entries(session, vault, ledger.bank(session, "default").id)
    assert entry == entry_of(fact_id)


def test_open_rechecked_and_running_requests_keep_their_texts(database: Database, vault: Vault) -> None:
    with pytest.raises(RequestBusy, match="open"):
        destroy(database, submitted(database, vault, CLEO, kind="censor").id)
    written(database, vault, ANA)
    job = completed(database, vault, ANA)
    assert job.request_id is not None
    with database.session() as session:
        check = rechecks.schedule(session, job.request_id, 30, "auditor")
    with pytest.raises(RequestBusy, match="re-check"):
        destroy(database, job.request_id)
    with database.session() as session:
        rechecks.cancel(session, check.id, actor="auditor")
        audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)
    with pytest.raises(RequestBusy, match="audit"):
        destroy(database, job.request_id)
