"""Phases are saved once finished, transcripts and pages encrypted, and a run has one report."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import audits, events
from store.database import Database
from store.errors import UnknownReport, UnknownRun, VaultError
from store.models import AuditPhase, AuditRun, Job, Report
from store.vault import Vault
from tests.store.scenes import CLEO, approved


@pytest.fixture
def job(database: Database, vault: Vault) -> Job:
    return approved(database, vault, CLEO, kind="censor")


def started(database: Database, vault: Vault, job: Job) -> AuditRun:
    assert job.request_id is not None
    with database.session() as session:
        return audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)


def reported(database: Database, vault: Vault, run: AuditRun, verdict: str = "pass") -> Report:
    with database.session() as session:
        page = b"<p>Cleo Marchetti</p>"
        return audits.save_report(session, vault, run.id, run.request_id, verdict, b"{}", page)


def test_an_unfinished_run_is_resumed_and_a_finished_one_is_not(
    database: Database, vault: Vault, job: Job
) -> None:
    run = started(database, vault, job)
    assert started(database, vault, job).id == run.id
    reported(database, vault, run)
    assert started(database, vault, job).id != run.id
    with database.session(read_only=True) as session:
        assert [row.state for row in audits.runs_of(session, run.request_id)] == ["done", "running"]


def test_a_phase_is_there_once_it_is_saved(database: Database, vault: Vault, job: Job) -> None:
    run = started(database, vault, job)
    with database.session() as session:
        assert audits.phase(session, run.id, "before") is None
        audits.save_phase(session, vault, run.id, "before", {"leaked": 4, "of": 20}, b"glassblower")
        audits.save_phase(session, vault, run.id, "after", {"leaked": 0}, None)
    with database.session() as session:
        assert audits.phase(session, run.id, "before") == {"leaked": 4, "of": 20}
        assert audits.transcript(session, vault, run.id, "before") == b"glassblower"
        assert audits.transcript(session, vault, run.id, "after") is None
        assert audits.transcript(session, vault, run.id, "twin") is None
        audits.save_phase(session, vault, run.id, "before", {"leaked": 5}, b"again")
    with database.session(read_only=True) as session:
        assert audits.phase(session, run.id, "before") == {"leaked": 5}
        assert audits.transcript(session, vault, run.id, "before") == b"again"


def test_the_before_of_the_first_run_is_found_after_a_retry(
    database: Database, vault: Vault, job: Job
) -> None:
    first = started(database, vault, job)
    with database.session() as session:
        audits.save_phase(session, vault, first.id, "before", {"leaked": 9}, None)
    reported(database, vault, first, "fail")
    started(database, vault, job)
    with database.session(read_only=True) as session:
        assert audits.latest_phase(session, first.request_id, "before") == {"leaked": 9}
        assert audits.latest_phase(session, first.request_id, "twin") is None


def test_transcripts_of_two_phases_cannot_be_swapped(database: Database, vault: Vault, job: Job) -> None:
    run = started(database, vault, job)
    with database.session() as session:
        audits.save_phase(session, vault, run.id, "before", {}, b"leaks")
        audits.save_phase(session, vault, run.id, "after", {}, b"silence")
        sealed = session.get_one(AuditPhase, (run.id, "after")).transcript_ciphertext
        session.get_one(AuditPhase, (run.id, "before")).transcript_ciphertext = sealed
    with pytest.raises(VaultError), database.session(read_only=True) as session:
        audits.transcript(session, vault, run.id, "before")


def test_a_report_is_saved_once_and_ends_its_run(database: Database, vault: Vault, job: Job) -> None:
    run = started(database, vault, job)
    report = reported(database, vault, run)
    assert reported(database, vault, run, "fail").id == report.id
    with database.session(read_only=True) as session:
        assert audits.report(session, report.id).json == b"{}"
        assert audits.report_html(session, vault, report.id) == b"<p>Cleo Marchetti</p>"
        assert [row.id for row in audits.reports_of(session, run.request_id)] == [report.id]
        done = audits.get_run(session, run.id)
        assert (done.state, done.verdict) == ("done", "pass")
        kinds = [event.kind for event in events.list_events(session, request_id=run.request_id)]
        assert kinds.count("audit.reported") == 1
        stored = session.scalars(sa.select(Report.html_ciphertext)).one()
    assert stored is not None
    assert b"Cleo" not in stored


def test_unknown_runs_and_reports(database: Database, vault: Vault) -> None:
    with database.session(read_only=True) as session:
        with pytest.raises(UnknownRun):
            audits.get_run(session, "run_none")
        with pytest.raises(UnknownReport):
            audits.report_html(session, vault, "rep_none")
