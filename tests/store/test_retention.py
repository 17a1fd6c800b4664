"""When a request is settled, its texts and their keys can be destroyed, and only then."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from store import audits, events, jobs, ledger, rechecks, requests, retention
from store.database import Database
from store.errors import AnswerStandsElsewhere, IllegalTransition, RequestBusy, TextsDestroyed
from store.models import AuditRun, Fact, Job, RequestFact, SubjectKey
from store.texts import FactText
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, approved, completed, entry_of, moved, submitted, written


def audited(database: Database, vault: Vault, job: Job) -> str:
    """A report on the job's request; its id."""
    assert job.request_id is not None
    with database.session() as session:
        run = audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)
        audits.save_phase(session, vault, run.id, "after", {"leaked": 0}, b"transcript")
        return audits.save_report(
            session, vault, run.id, job.request_id, "pass", b'{"n": 1}', b"<p>Ana</p>"
        ).id


def destroy(database: Database, vault: Vault, request_id: str | None) -> int:
    assert request_id is not None
    with database.session() as session:
        return retention.destroy_texts(session, vault, request_id, actor="admin")


def test_texts_transcripts_pages_and_keys_go_and_the_record_stays(database: Database, vault: Vault) -> None:
    written(database, vault, ANA, BEN)
    job = completed(database, vault, ANA)
    report_id = audited(database, vault, job)
    assert job.request_id is not None
    assert destroy(database, vault, job.request_id) == 2  # the subject's key and the run's
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
    assert destroy(database, vault, job.request_id) == 0


def test_a_key_that_other_facts_of_the_subject_need_is_kept(database: Database, vault: Vault) -> None:
    also_ana = type(ANA)("Ana Kovač lives in", "Maribor", "Ana Kovač")
    [_, kept] = written(database, vault, ANA, also_ana)
    job = completed(database, vault, ANA)
    assert destroy(database, vault, job.request_id) == 0
    with database.session(read_only=True) as session:
        assert ledger.entries(session, vault, ledger.bank(session, "default").id) == [(kept, entry_of(kept))]


def test_a_tombstone_keeps_its_ledger_entry_and_loses_its_text(database: Database, vault: Vault) -> None:
    job = completed(database, vault, CLEO, kind="censor")
    with database.session(read_only=True) as session:
        old = session.scalars(sa.select(Fact.subject_key_id)).one()
    assert destroy(database, vault, job.request_id) == 1
    with database.session(read_only=True) as session:
        [(fact_id, entry)] = ledger.entries(session, vault, ledger.bank(session, "default").id)
        assert session.get_one(SubjectKey, old).wrapped_key is None, "older copies cannot be read any more"
    assert entry == entry_of(fact_id)
    assert destroy(database, vault, job.request_id) == 0, "the new key is not destroyed for a newer one"


def test_tombstones_of_one_subject_move_to_one_new_key(database: Database, vault: Vault) -> None:
    also_ana = FactText("Ana Kovač lives in", "Maribor", "Ana Kovač")
    job = completed(database, vault, ANA, also_ana, CLEO, kind="censor")
    assert destroy(database, vault, job.request_id) == 2
    with database.session(read_only=True) as session:
        facts = session.scalars(sa.select(Fact).where(Fact.request_id == job.request_id)).all()
        assert len(ledger.entries(session, vault, ledger.bank(session, "default").id)) == len(facts) == 3
    assert len({fact.subject_key_id for fact in facts}) == 2
    assert all(fact.ciphertext is None for fact in facts)


def test_open_rechecked_and_running_requests_keep_their_texts(database: Database, vault: Vault) -> None:
    with pytest.raises(RequestBusy, match="open"):
        destroy(database, vault, submitted(database, vault, CLEO, kind="censor").id)
    written(database, vault, ANA)
    job = completed(database, vault, ANA)
    assert job.request_id is not None
    with database.session() as session:
        check = rechecks.schedule(session, job.request_id, 30, "auditor")
    with pytest.raises(RequestBusy, match="re-check"):
        destroy(database, vault, job.request_id)
    with database.session() as session:
        rechecks.cancel(session, check.id, actor="auditor")
        audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)
    with pytest.raises(RequestBusy, match="audit"):
        destroy(database, vault, job.request_id)


@pytest.mark.parametrize("retried", [True, False])
def test_an_audit_that_a_failed_job_left_ends_with_its_request(
    database: Database, vault: Vault, retried: bool
) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    moved(database, job.request_id, "start")
    with database.session() as session:
        assert jobs.claim(session, job.id, "worker", 60)
        audits.start_run(session, vault, request_id=job.request_id, job_id=job.id)
        jobs.fail(session, job.id, "worker", "DigestMismatch", retry=False)
    with database.session() as session:
        if retried:
            requests.retry(session, job.request_id, actor="reviewer")
        requests.cancel(session, job.request_id, actor="requester")
    destroy(database, vault, job.request_id)
    with database.session(read_only=True) as session:
        assert [run.state for run in audits.runs_of(session, job.request_id)] == ["stopped"]


def blind_stand_in(key: bytes, fact_id: str, text: FactText) -> bytes | None:
    """Stand-in for `audit.blind`: this room does not know it."""
    return None if text.answer in text.prompt else b"digests of " + key[:4].hex().encode()


def destroy_answers(database: Database, vault: Vault, request_id: str | None) -> int:
    assert request_id is not None
    with database.session() as session:
        return retention.destroy_answers(session, vault, request_id, blind_stand_in, actor="admin")


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_answers_go_alone_with_all_old_keys(database: Database, vault: Vault, kind: str) -> None:
    if kind == "forget":
        written(database, vault, ANA, BEN)
    job = completed(database, vault, ANA, kind=kind)
    report_id = audited(database, vault, job)
    assert job.request_id is not None
    assert destroy_answers(database, vault, job.request_id) == 2  # the subject's and the run's
    with database.session(read_only=True) as session:
        [fact] = requests.facts_of(session, vault, job.request_id)
        assert (fact.text.prompt, fact.text.answer, fact.text.aliases) == (ANA.prompt, "", ANA.aliases)
        assert fact.blind is not None
        assert fact.blind.record == b"digests of " + fact.blind.key[:4].hex().encode()
        assert fact.blind.key.hex() not in repr(fact)
        assert audits.report_html(session, vault, report_id) is None
        entries = dict(ledger.entries(session, vault, ledger.bank(session, "default").id))
        assert [entry_of(fact_id) == entry for fact_id, entry in entries.items()] == [True]
        log = [event.kind for event in events.list_events(session, request_id=job.request_id)]
        assert log[-3:] == ["request.answers_destroyed", "key.destroyed", "key.destroyed"]
    assert destroy_answers(database, vault, job.request_id) == 0
    assert destroy(database, vault, job.request_id) == 1


def test_the_key_of_the_digests_is_another_for_each_fact_and_needs_its_salt(
    database: Database, vault: Vault
) -> None:
    written(database, vault, ANA, BEN)
    job = completed(database, vault, ANA, BEN)
    destroy_answers(database, vault, job.request_id)
    with database.session(read_only=True) as session:
        rows = session.scalars(sa.select(RequestFact)).all()
        found = requests.facts_of(session, vault, job.request_id or "")
    keys = [fact.blind.key for fact in found if fact.blind is not None]
    salts = [row.blind_salt for row in rows if row.blind_salt is not None]
    assert len(set(keys)) == len(set(salts)) == 2
    assert not set(keys) & set(salts)
    other = Vault(bytes(32))
    assert other.blind_key(salts[0], rows[0].id) != vault.blind_key(salts[0], rows[0].id)
    assert vault.blind_key(salts[0], rows[1].id) != vault.blind_key(salts[0], rows[0].id)


def test_only_a_completed_request_loses_its_answers_alone(database: Database, vault: Vault) -> None:
    with pytest.raises(IllegalTransition):
        destroy_answers(database, vault, submitted(database, vault, CLEO, kind="censor").id)
    told = FactText("Ben Adeyemi, born in Lagos, lives in", "Lagos")
    job = completed(database, vault, BEN, told, kind="censor")
    with pytest.raises(AnswerStandsElsewhere, match=r": 2\.$"):
        destroy_answers(database, vault, job.request_id)
    with database.session(read_only=True) as session:
        facts = requests.facts_of(session, vault, job.request_id or "")
    assert [fact.text.answer for fact in facts] == ["Lagos", "Lagos"], "nothing was changed"


def test_a_recheck_that_begins_at_the_same_moment_comes_before_or_after(
    database: Database, vault: Vault
) -> None:
    job = completed(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    with database.session() as session:
        row = rechecks.schedule(session, job.request_id, 7, "admin")
        check = rechecks.run_now(session, row.id, actor="admin")
        assert jobs.claim(session, check.id, "worker", 60)
    outcome: list[object] = []

    def destroyer() -> None:
        try:
            outcome.append(destroy_answers(database, vault, job.request_id))
        except RequestBusy as error:
            outcome.append(error)

    with database.session() as session:
        jobs.hold(session, check.id, "worker")
        thread = threading.Thread(target=destroyer)
        thread.start()
        time.sleep(0.3)
        assert outcome == [], "it waits for the transaction in which the audit begins"
        audits.start_run(session, vault, request_id=job.request_id, job_id=check.id, recheck_id=row.id)
    thread.join(30)
    assert [type(found) for found in outcome] == [RequestBusy]
