"""What is on disk: no word of a fact in the clear, ever, and after a forget not even its ciphertext."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import audits, facts, jobs, ledger, requests
from store.database import Database, erases
from store.models import Bank, Fact, Job, LedgerEntry
from store.requests import Submission
from store.texts import FactText, Limits
from store.vault import Vault
from tests.store.scenes import commit, written

CANARY = FactText(
    "The canaryprompt of Zaphodine is", "canaryanswer", "Zaphodine Canarysubject", ("Canaryalias",)
)
WORDS = ["canaryprompt", "canaryanswer", "zaphodine", "canarysubject", "canaryalias"]
WINDOW = 32


def raw(database: Database) -> bytes:
    """All bytes of the database's files: the file itself, the WAL, its index, a journal."""
    path = Path(str(database.engine.url.database))
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))


def words_found(data: bytes) -> list[str]:
    lower = data.lower()
    return [word for word in WORDS if word.encode() in lower or word.encode("utf-16-le") in lower]


def pieces(values: list[bytes]) -> list[bytes]:
    """Overlapping-free windows of each value: a page split may have left only a part behind."""
    return [value[at : at + WINDOW] for value in values for at in range(0, len(value) - WINDOW + 1, WINDOW)]


def test_no_word_of_a_fact_reaches_the_files(sqlite_database: Database, vault: Vault) -> None:
    [fact_id] = written(sqlite_database, vault, CANARY)
    with sqlite_database.session() as session:
        request = requests.submit(session, vault, Submission("forget", [CANARY]), actor="requester")
    with sqlite_database.session() as session:
        job = requests.approve(session, request.id, actor="reviewer")
    with sqlite_database.session() as session:
        run = audits.start_run(session, vault, request_id=request.id, job_id=job.id)
        audits.save_phase(session, vault, run.id, "before", {"leaked": 1}, CANARY.to_bytes())
        audits.save_report(session, vault, run.id, request.id, "pass", b"{}", CANARY.to_bytes())
    data = raw(sqlite_database)
    assert fact_id.encode() in data  # the right files are being read
    assert words_found(data) == []


def test_the_search_would_find_a_word_in_the_clear(sqlite_database: Database) -> None:
    with sqlite_database.session() as session:
        ledger.bank(session, "canaryanswer")
    assert words_found(raw(sqlite_database)) == ["canaryanswer"]


def test_after_a_forget_even_the_ciphertext_is_gone(sqlite_database: Database, vault: Vault) -> None:
    [fact_id] = written(sqlite_database, vault, CANARY)
    with sqlite_database.session(read_only=True) as session:
        fact = facts.get(session, fact_id)
        assert fact.ciphertext is not None
        assert fact.blind_index is not None
        secrets = [
            fact.ciphertext,
            session.get_one(LedgerEntry, fact_id).ciphertext,
            fact.blind_index.encode(),
        ]
    assert all(piece in raw(sqlite_database) for piece in pieces(secrets))
    with sqlite_database.session() as session:
        commit(session, vault, {}, [fact_id])
    data = raw(sqlite_database)
    assert [piece for piece in pieces(secrets) if piece in data] == []
    assert fact_id.encode() in data


@pytest.mark.parametrize("seed", range(2))
def test_many_forgets_among_many_facts_leave_nothing(
    sqlite_database: Database, vault: Vault, seed: int
) -> None:
    """Page splits copy cells about; `secure_delete` alone leaves some of the copies behind."""
    chance = random.Random(seed)
    live: list[str] = []
    for turn in range(3):
        texts = [FactText(f"P{turn} {n} " + "x" * chance.randint(0, 300), "a") for n in range(40)]
        with sqlite_database.session() as session:
            rows, _ = facts.register(session, vault, "default", texts, actor="me", limits=Limits())
            sizes = [chance.choice([100, 900, 5000]) for _ in rows]
            commit(session, vault, {row.id: chance.randbytes(n) for row, n in zip(rows, sizes, strict=True)})
        live += [row.id for row in rows]
        gone = chance.sample(live, 15)
        live = [fact_id for fact_id in live if fact_id not in gone]
        secrets = sealed_of(sqlite_database, gone)
        with sqlite_database.session() as session:
            commit(session, vault, {}, gone)
        data = raw(sqlite_database)
        assert [piece for piece in pieces(secrets) if piece in data] == []
        with sqlite_database.session(read_only=True) as session:
            assert session.scalar(sa.text("PRAGMA freelist_count")) == 0  # it was rebuilt
    with sqlite_database.session(read_only=True) as session:
        bank = ledger.bank(session, "default")
        assert [fact_id for fact_id, _ in ledger.entries(session, vault, bank.id)] == sorted(live)


def sealed_of(database: Database, fact_ids: list[str]) -> list[bytes]:
    with database.session(read_only=True) as session:
        rows = session.scalars(sa.select(Fact).where(Fact.id.in_(fact_ids))).all()
        entries = session.scalars(sa.select(LedgerEntry).where(LedgerEntry.fact_id.in_(fact_ids))).all()
    found = [row.ciphertext or b"" for row in rows] + [(row.blind_index or "").encode() for row in rows]
    return found + [entry.ciphertext for entry in entries]


def test_a_process_that_died_before_the_scrub_leaves_it_owed(
    sqlite_database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    [fact_id] = written(sqlite_database, vault, CANARY)
    secrets = sealed_of(sqlite_database, [fact_id])
    monkeypatch.setattr(Database, "_scrub_after_commit", lambda self: None)
    with sqlite_database.session() as session:
        commit(session, vault, {}, [fact_id])
    assert any(piece in raw(sqlite_database) for piece in pieces(secrets))
    assert Database(str(sqlite_database.engine.url)).scrub()
    assert [piece for piece in pieces(secrets) if piece in raw(sqlite_database)] == []


def test_an_erasure_during_a_scrub_is_not_lost(sqlite_database: Database) -> None:
    from store.database import _settle

    for _ in range(2):
        with sqlite_database.engine.begin() as connection:
            count = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            connection.exec_driver_sql(f"PRAGMA user_version = {count + 1}")
    raw_connection = sqlite_database.engine.raw_connection()
    _settle(raw_connection.cursor(), 1)
    assert raw_connection.cursor().execute("PRAGMA user_version").fetchone() == (2,)
    _settle(raw_connection.cursor(), 2)
    assert raw_connection.cursor().execute("PRAGMA user_version").fetchone() == (0,)
    raw_connection.close()


def test_a_scrub_that_fails_does_not_undo_the_commit(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Database) -> bool:
        from store.errors import DatabaseUnusable

        raise DatabaseUnusable("no space left")

    monkeypatch.setattr(Database, "scrub", full)
    with sqlite_database.session() as session:
        ledger.bank(session, "kept")
        erases(session)
    assert "scrub postponed: DatabaseUnusable" in caplog.text
    with sqlite_database.session(read_only=True) as session:
        assert session.scalars(sa.select(Bank.name)).all() == ["kept"]


def test_a_failed_write_job_leaves_no_ciphertext(sqlite_database: Database, vault: Vault) -> None:
    with sqlite_database.session() as session:
        [fact], job = facts.register(session, vault, "default", [CANARY], actor="me")
    secrets = sealed_of(sqlite_database, [fact.id])
    with sqlite_database.session() as session:
        assert isinstance(jobs.claim(session, job.id, "w", 60), Job)
    with sqlite_database.session() as session:
        jobs.fail(session, job.id, "w", "FactTooLong", retry=False)
    assert [piece for piece in pieces(secrets) if piece in raw(sqlite_database)] == []
