"""Requests are taken in whole or not at all, decided once, and listed by urgency."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from store import facts, jobs, requests, retention
from store.database import Database
from store.errors import (
    AlreadyUnderway,
    AnswerRequired,
    DuplicateFact,
    FactGone,
    FactNotWritten,
    IllegalTransition,
    InvalidInput,
    ReasonRequired,
    SamePerson,
    StaleVersion,
    UnknownRequest,
    VaultError,
)
from store.models import Fact, Job, Request, RequestFact
from store.requests import Submission
from store.texts import FactText
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, approved, commit, completed, moved, submitted, written

RECEIVED = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_a_forget_names_written_facts_and_starts_the_clock(database: Database, vault: Vault) -> None:
    [ana, ben] = written(database, vault, ANA, BEN)
    submission = Submission("forget", [BEN, ANA], "gdpr", "TICKET-7")
    with database.session() as session:
        request = requests.submit(session, vault, submission, actor="requester", received_at=RECEIVED)
    assert (request.state, request.reference, request.row_version) == ("received", "TICKET-7", 1)
    assert request.due_at == datetime(2026, 12, 23, 23, 59, 59, tzinfo=UTC)
    with database.session(read_only=True) as session:
        named = requests.facts_of(session, vault, request.id)
        assert [(fact.position, fact.fact_id, fact.text) for fact in named] == [(0, ben, BEN), (1, ana, ANA)]
        assert requests.fact_ids_of(session, request.id) == [ben, ana]
        assert [event.kind for event in requests.events_of(session, request.id)] == ["request.submit"]


def test_ccpa_has_45_days(database: Database, vault: Vault) -> None:
    with database.session() as session:
        submission = Submission("censor", [CLEO], "ccpa")
        request = requests.submit(session, vault, submission, actor="requester", received_at=RECEIVED)
    assert request.due_at == datetime(2027, 1, 7, 23, 59, 59, tzinfo=UTC)


def test_only_what_is_written_can_be_forgotten(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    with database.session() as session:
        facts.register(session, vault, "default", [CLEO], actor="me")  # pending, not written yet
    with pytest.raises(FactNotWritten) as refusal:
        submitted(database, vault, ANA, BEN, CLEO)
    assert refusal.value.positions == (1, 2)
    assert "Lagos" not in str(refusal.value)
    with database.session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Request)) == 0


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_answers_are_needed_and_lists_have_no_repetitions(
    database: Database, vault: Vault, kind: str
) -> None:
    written(database, vault, ANA)
    with pytest.raises(AnswerRequired) as refusal:
        submitted(database, vault, ANA, FactText("Ben was born in", ""), kind=kind)
    assert refusal.value.positions == (1,)
    with pytest.raises(DuplicateFact) as repetition:
        submitted(database, vault, ANA, ANA, kind=kind)
    assert repetition.value.positions == (1,)


@pytest.mark.parametrize(
    ("submission", "field"),
    [
        (Submission("delete", [ANA]), "kind"),  # type: ignore[arg-type]
        (Submission("censor", [ANA], "hipaa"), "regulation"),  # type: ignore[arg-type]
        (Submission("censor", [ANA], reference="Ana Kovač"), "reference"),
        (Submission("censor", [ANA], reference="x" * 65), "reference"),
        (Submission("censor", [ANA], bank="no bank"), "bank"),
        (Submission("censor", []), "facts"),
    ],
)
def test_a_bad_field_is_named_and_its_value_is_not(
    database: Database, vault: Vault, submission: Submission, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal, database.session() as session:
        requests.submit(session, vault, submission, actor="requester")
    assert refusal.value.field == field
    assert "Kovač" not in str(refusal.value)


def test_a_censor_makes_pending_tombstones(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, ANA, CLEO, kind="censor")
    with database.session(read_only=True) as session:
        rows = session.scalars(sa.select(Fact)).all()
        assert {(row.kind, row.state, row.request_id) for row in rows} == {
            ("tombstone", "pending", request.id)
        }
        named = requests.facts_of(session, vault, request.id)
    assert [fact.text for fact in named] == [ANA, CLEO]
    assert {fact.fact_id for fact in named} == {row.id for row in rows}


def test_approval_is_one_step_with_its_job(database: Database, vault: Vault) -> None:
    [fact_id] = written(database, vault, ANA)
    request = submitted(database, vault, ANA)
    with database.session() as session:
        job = requests.approve(session, request.id, actor="reviewer", max_attempts=4)
    assert (job.kind, job.request_id, job.fact_ids, job.max_attempts) == ("forget", request.id, [fact_id], 4)
    with database.session(read_only=True) as session:
        row = requests.get(session, request.id)
        assert [job.id for job in jobs.of_request(session, request.id)] == [job.id]
    assert (row.state, row.decided_by) == ("approved", "reviewer")
    with pytest.raises(IllegalTransition), database.session() as session:
        requests.approve(session, request.id, actor="reviewer")
    with database.session(read_only=True) as session:
        assert len(jobs.of_request(session, request.id)) == 1


def test_who_submitted_may_not_approve_unless_the_policy_says_so(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with pytest.raises(SamePerson), database.session() as session:
        requests.approve(session, request.id, actor="requester")
    with database.session() as session:
        assert requests.approve(session, request.id, actor="requester", allow_submitter=True)


def test_who_submitted_may_not_accept_its_leak_unless_the_policy_says_so(
    database: Database, vault: Vault
) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session() as session:
        requests.approve(session, request.id, actor="reviewer")
    moved(database, request.id, "start", "applied", "audited_leaking")
    with pytest.raises(SamePerson), database.session() as session:
        requests.accept(session, request.id, actor="requester", reason="mine")
    with database.session() as session:
        row = requests.accept(session, request.id, actor="requester", reason="mine", allow_submitter=True)
    assert row.state == "completed"


def test_an_approval_of_an_old_view_is_stale(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with pytest.raises(StaleVersion), database.session() as session:
        requests.approve(session, request.id, actor="reviewer", expected_version=request.row_version + 1)


def test_a_second_request_for_the_same_fact_is_a_pointer_and_cannot_be_approved_meanwhile(
    database: Database, vault: Vault
) -> None:
    [fact_id] = written(database, vault, ANA)
    first, second = submitted(database, vault, ANA), submitted(database, vault, ANA)
    assert (first.duplicate_of, second.duplicate_of, second.state) == (None, first.id, "received")
    with database.session() as session:
        requests.approve(session, first.id, actor="reviewer")
    with pytest.raises(AlreadyUnderway), database.session() as session:
        requests.approve(session, second.id, actor="reviewer")
    with database.session() as session:
        commit(session, vault, {}, [fact_id])
    with pytest.raises(FactGone, match="Deny or cancel"), database.session() as session:
        requests.approve(session, second.id, actor="reviewer")
    with database.session(read_only=True) as session:
        assert requests.get(session, second.id).state == "received"


def test_a_fact_is_censored_once(database: Database, vault: Vault) -> None:
    first, second = (submitted(database, vault, CLEO, kind="censor") for _ in range(2))
    assert second.duplicate_of == first.id
    with database.session() as session:
        job = requests.approve(session, first.id, actor="reviewer")
        commit(session, vault, {fact_id: b"tombstone" for fact_id in job.fact_ids})
    moved(database, first.id, "start", "applied", "audited_clean")
    with pytest.raises(AlreadyUnderway), database.session() as session:
        requests.approve(session, second.id, actor="reviewer")
    with pytest.raises(DuplicateFact):
        submitted(database, vault, CLEO, kind="censor")


@pytest.mark.parametrize("how", ["deny", "cancel"])
def test_a_censor_that_will_not_happen_leaves_no_tombstones(
    database: Database, vault: Vault, how: str
) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session() as session:
        if how == "deny":
            assert (
                requests.deny(session, request.id, actor="reviewer", reason="not the person").state
                == "denied"
            )
        else:
            assert requests.cancel(session, request.id, actor="requester").state == "cancelled"
    with database.session(read_only=True) as session:
        [row] = session.scalars(sa.select(Fact)).all()
    assert (row.state, row.ciphertext, row.blind_index) == ("failed", None, None)


@pytest.mark.parametrize(("kind", "scrubs"), [("forget", 0), ("censor", 1)])
def test_the_file_is_rebuilt_only_when_a_refusal_erased_something(
    sqlite_database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, kind: str, scrubs: int
) -> None:
    database, done = sqlite_database, []
    written(database, vault, ANA)
    request = submitted(database, vault, ANA, kind=kind)
    monkeypatch.setattr(database, "scrub", lambda: done.append("scrub"))
    with database.session() as session:
        requests.deny(session, request.id, actor="reviewer", reason="not the person")
    assert len(done) == scrubs


def test_denying_and_accepting_need_reasons(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with pytest.raises(ReasonRequired), database.session() as session:
        requests.deny(session, request.id, actor="reviewer", reason=" ")
    with database.session() as session:
        requests.approve(session, request.id, actor="reviewer")
    moved(database, request.id, "start", "applied", "audited_leaking")
    with pytest.raises(ReasonRequired), database.session() as session:
        requests.accept(session, request.id, actor="reviewer", reason="")
    with database.session() as session:
        row = requests.accept(session, request.id, actor="reviewer", reason="one in a thousand")
    assert (row.state, row.reason) == ("completed", "one in a thousand")


def test_cancelling_an_approved_request_ends_its_job(database: Database, vault: Vault) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    with database.session() as session:
        requests.cancel(session, job.request_id, actor="requester")
        assert jobs.claim(session, job.id, "worker", 60) is None
        row = jobs.get(session, job.id)
    assert (row.state, row.error_class) == ("failed", "Cancelled")


@pytest.mark.parametrize("path", [("start", "give_up"), ("start", "applied", "audited_leaking")])
def test_a_retry_queues_a_new_job_for_the_same_facts(
    database: Database, vault: Vault, path: tuple[str, ...]
) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    assert job.request_id is not None
    moved(database, job.request_id, *path)
    with database.session() as session:
        again = requests.retry(session, job.request_id, actor="reviewer")
        assert requests.get(session, job.request_id).state == "approved"
    assert again.id != job.id
    assert again.fact_ids == job.fact_ids


@pytest.mark.parametrize("kind", ["forget", "censor"])
def test_a_failed_request_whose_twin_was_faster_is_not_retried_but_closed(
    database: Database, vault: Vault, kind: str
) -> None:
    if kind == "forget":
        written(database, vault, ANA)
    first = approved(database, vault, ANA, kind=kind).request_id
    assert first is not None
    moved(database, first, "start", "give_up")
    twin = approved(database, vault, ANA, kind=kind)
    assert twin.request_id is not None
    with pytest.raises(AlreadyUnderway, match="cancel"), database.session() as session:
        requests.retry(session, first, actor="reviewer")
    with database.session() as session:
        add = {} if kind == "forget" else {fact_id: b"tombstone" for fact_id in twin.fact_ids}
        commit(session, vault, add, twin.fact_ids if kind == "forget" else ())
    moved(database, twin.request_id, "start", "applied", "audited_clean")
    refusal = FactGone if kind == "forget" else AlreadyUnderway
    with pytest.raises(refusal, match="cancel"), database.session() as session:
        requests.retry(session, first, actor="reviewer")
    with database.session() as session:
        assert requests.get(session, first).state == "failed"
        assert requests.cancel(session, first, actor="reviewer").state == "cancelled"
        retention.destroy_texts(session, vault, first, actor="admin")


def test_a_failed_audit_is_retried_although_its_facts_are_gone(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    job = approved(database, vault, ANA)
    assert job.request_id is not None
    with database.session() as session:
        commit(session, vault, {}, job.fact_ids)
    moved(database, job.request_id, "start", "applied", "give_up")
    with database.session() as session:
        assert requests.retry(session, job.request_id, actor="reviewer").fact_ids == job.fact_ids


def test_after_a_forget_the_request_still_knows_its_texts(database: Database, vault: Vault) -> None:
    """The audit and its re-checks look for the answer; `retention.destroy_texts` ends that."""
    written(database, vault, ANA)
    job = completed(database, vault, ANA)
    assert job.request_id is not None
    with database.session(read_only=True) as session:
        assert [fact.text for fact in requests.facts_of(session, vault, job.request_id)] == [ANA]


def test_lists_are_sorted_by_urgency_filtered_and_paged(database: Database, vault: Vault) -> None:
    with database.session() as session:
        for number in range(5):
            submission = Submission("censor", [FactText(f"P{number}", "x")], reference=f"R{number}")
            at = RECEIVED - timedelta(weeks=number)
            requests.submit(session, vault, submission, actor=f"user{number % 2}", received_at=at)
    seen, cursor = [], None
    with database.session(read_only=True) as session:
        while True:
            page = requests.list_requests(session, limit=2, cursor=cursor)
            seen += [request.reference for request in page.items]
            if (cursor := page.next_cursor) is None:
                break
        newest = requests.list_requests(session, order="newest", limit=3)
        rest = requests.list_requests(session, order="newest", limit=3, cursor=newest.next_cursor)
        mine = requests.list_requests(session, submitted_by="user1")
        assert requests.list_requests(session, states=["approved"]).items == ()
        assert requests.list_requests(session, kind="forget").items == ()
        before_time = base64.urlsafe_b64encode(b"0001-01-01T00:00:00+23:00|x").decode()
        for nonsense in ("%%%", "AAAA", "MjAyNi0xMS0yM3x4", before_time):
            with pytest.raises(InvalidInput, match="cursor"):
                requests.list_requests(session, cursor=nonsense)
    assert seen == ["R4", "R3", "R2", "R1", "R0"]
    assert [request.reference for request in newest.items + rest.items] == ["R0", "R1", "R2", "R3", "R4"]
    assert {request.reference for request in mine.items} == {"R1", "R3"}


def test_unknown_requests_and_foreign_keys_are_errors(database: Database, vault: Vault) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    with database.session(read_only=True) as session:
        for ask in (requests.get, requests.events_of, requests.fact_ids_of):
            with pytest.raises(UnknownRequest):
                ask(session, "req_none")
        with pytest.raises(VaultError):
            requests.facts_of(session, Vault(bytes(32)), request.id)
    with database.session() as session:
        session.scalars(sa.select(RequestFact)).one().ciphertext = b"\x01" * 60
    with pytest.raises(VaultError), database.session(read_only=True) as session:
        requests.facts_of(session, vault, request.id)


def test_a_failing_job_row_takes_the_approval_back(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = submitted(database, vault, CLEO, kind="censor")
    monkeypatch.setattr(jobs, "create", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), database.session() as session:
        requests.approve(session, request.id, actor="reviewer")
    with database.session(read_only=True) as session:
        assert requests.get(session, request.id).state == "received"
        assert session.scalar(sa.select(sa.func.count()).select_from(Job)) == 0
        assert len(requests.events_of(session, request.id)) == 1
