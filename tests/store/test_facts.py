"""Facts are registered once, encrypted, with the job that writes them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import facts, jobs, ledger
from store.database import Database
from store.errors import AnswerRequired, DuplicateFact, InvalidInput, UnknownBank, UnknownFact, VaultError
from store.models import Event, Fact, SubjectKey
from store.texts import FactText, Limits
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, commit, entry_of, written


def test_registering_makes_pending_facts_and_one_write_job(database: Database, vault: Vault) -> None:
    with database.session() as session:
        rows, job = facts.register(session, vault, "default", [ANA, BEN], actor="me", max_attempts=5)
    assert [row.state for row in rows] == ["pending", "pending"]
    assert (job.kind, job.queue, job.state, job.max_attempts) == ("write", "model", "queued", 5)
    assert job.fact_ids == [row.id for row in rows]
    with database.session(read_only=True) as session:
        assert facts.texts(session, vault, job.fact_ids) == {rows[0].id: ANA, rows[1].id: BEN}
        assert session.scalars(sa.select(Event.kind)).all() == ["facts.registered"]


def test_facts_of_one_subject_share_a_key_and_others_do_not(database: Database, vault: Vault) -> None:
    more = FactText("Ana Kovač lives in", "Maribor", "ana  KOVAČ")
    nameless = FactText("Somebody works as a", "baker")
    with database.session() as session:
        rows, _ = facts.register(session, vault, "default", [ANA, more, BEN, CLEO, nameless], actor="me")
    ana, more_key, ben, cleo, nobody = (row.subject_key_id for row in rows)
    assert ana == more_key
    assert len({ana, ben, cleo, nobody}) == 4


def test_a_fact_is_in_a_bank_once_however_it_is_spelt(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    again = FactText("the mother tongue of ANA  Kovač is", "slovene")
    with pytest.raises(DuplicateFact) as refusal, database.session() as session:
        facts.register(session, vault, "default", [BEN, again, BEN], actor="me")
    assert refusal.value.positions == (1, 2)
    assert "Kovač" not in str(refusal.value)
    with database.session() as session:
        facts.register(session, vault, "another-bank", [again], actor="me")


def test_a_refused_list_leaves_nothing_behind(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    with pytest.raises(DuplicateFact), database.session() as session:
        facts.register(session, vault, "default", [BEN, ANA], actor="me")
    with database.session(read_only=True) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Fact)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(SubjectKey)) == 1


def test_a_forgotten_or_failed_fact_may_come_again(database: Database, vault: Vault) -> None:
    [fact_id] = written(database, vault, ANA)
    with database.session() as session:
        commit(session, vault, {}, [fact_id])
    with database.session() as session:
        _, job = facts.register(session, vault, "default", [ANA], actor="me", max_attempts=1)
        assert jobs.claim(session, job.id, "w", 60)
        jobs.fail(session, job.id, "w", "Broken")
    assert written(database, vault, ANA) != [fact_id]


def test_answers_are_needed(database: Database, vault: Vault) -> None:
    with pytest.raises(AnswerRequired) as refusal, database.session() as session:
        facts.register(session, vault, "default", [ANA, FactText("Ben was born in", " ")], actor="me")
    assert refusal.value.positions == (1,)


def test_limits_and_bank_names_are_checked(database: Database, vault: Vault) -> None:
    with pytest.raises(InvalidInput), database.session() as session:
        facts.register(session, vault, "default", [ANA], actor="me", limits=Limits(max_fact_chars=5))
    with pytest.raises(InvalidInput, match="bank"), database.session() as session:
        facts.register(session, vault, "no such name!", [ANA], actor="me")


def test_another_master_key_is_noticed_before_anything_is_written(database: Database, vault: Vault) -> None:
    written(database, vault, ANA)
    with pytest.raises(VaultError, match="master key"), database.session() as session:
        facts.register(session, Vault(bytes(32)), "default", [BEN], actor="me")


def test_a_changed_ciphertext_is_a_vault_error_and_names_no_text(database: Database, vault: Vault) -> None:
    [first, second] = written(database, vault, ANA, BEN)
    with database.session() as session:
        stolen = facts.get(session, second).ciphertext
        facts.get(session, first).ciphertext = stolen
    with pytest.raises(VaultError, match=r"fact\.ciphertext"), database.session(read_only=True) as session:
        facts.texts(session, vault, [first])


def test_lists_carry_no_text_filter_and_page(database: Database, vault: Vault) -> None:
    ids = [written(database, vault, FactText(f"P{number}", "x"))[0] for number in range(5)]
    with database.session() as session:
        commit(session, vault, {}, [ids[0]])
    with database.session(read_only=True) as session:
        first = facts.list_facts(session, "default", limit=3)
        second = facts.list_facts(session, "default", limit=3, cursor=first.next_cursor)
        kept = facts.list_facts(session, states=["written"])
        with pytest.raises(UnknownBank):
            facts.list_facts(session, "never-used")
    assert [fact.id for fact in first.items + second.items] == ids[::-1]
    assert second.next_cursor is None
    assert len(kept.items) == 4


def test_unknown_facts_are_unknown(database: Database, vault: Vault) -> None:
    with database.session(read_only=True) as session:
        with pytest.raises(UnknownFact):
            facts.get(session, "fact_none")
        with pytest.raises(UnknownFact):
            facts.texts(session, vault, ["fact_none"])
        assert facts.texts(session, vault, []) == {}


def test_a_forgotten_fact_has_no_text_left(database: Database, vault: Vault) -> None:
    [gone, kept] = written(database, vault, ANA, BEN)
    with database.session() as session:
        commit(session, vault, {}, [gone])
    with database.session(read_only=True) as session:
        assert facts.texts(session, vault, [gone, kept]) == {kept: BEN}
        shell = facts.get(session, gone)
        assert (shell.state, shell.ciphertext, shell.blind_index) == ("forgotten", None, None)
        bank = ledger.bank(session, "default")
        assert ledger.entries(session, vault, bank.id) == [(kept, entry_of(kept))]
