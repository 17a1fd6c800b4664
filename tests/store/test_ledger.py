"""A bank moves from revision to revision by compare-and-set, and its ledger is its whole state."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from store import events, facts, ledger
from store.database import Database
from store.errors import InvalidInput, StaleRevision, UnknownBank, UnknownFact, VaultError
from store.models import Fact, LedgerEntry
from store.vault import Vault
from tests.store.scenes import ANA, BEN, CLEO, approved, commit, entry_of, written


def test_a_bank_is_made_on_first_use_and_found_again(database: Database) -> None:
    with database.session() as session:
        made = ledger.bank(session, "default")
    with database.session(read_only=True) as session:
        assert ledger.bank(session, "default").id == made.id
        assert ledger.get_bank(session, made.id).name == "default"
        with pytest.raises(UnknownBank):
            ledger.bank(session, "other")
        with pytest.raises(UnknownBank):
            ledger.get_bank(session, "bank_none")
        with pytest.raises(InvalidInput):
            ledger.bank(session, "../etc")


def test_entries_come_back_decrypted_in_the_order_of_their_ids(database: Database, vault: Vault) -> None:
    ids = written(database, vault, ANA, BEN, CLEO)
    with database.session(read_only=True) as session:
        bank = ledger.bank(session, "default")
        assert ledger.entries(session, vault, bank.id) == [(id_, entry_of(id_)) for id_ in sorted(ids)]
        sealed = session.scalars(sa.select(LedgerEntry.ciphertext)).all()
    assert not any(b"entry of" in value for value in sealed)


def test_a_commit_moves_revision_digest_facts_and_log_together(database: Database, vault: Vault) -> None:
    [first, second] = written(database, vault, ANA, BEN)
    with database.session() as session:
        assert commit(session, vault, {}, [first]) == 2
    with database.session(read_only=True) as session:
        bank = ledger.bank(session, "default")
        assert (bank.revision, bank.digest) == (2, "digest of revision 2")
        assert [(r.revision, r.digest) for r in ledger.revisions(session, bank.id)] == [
            (2, "digest of revision 2"),
            (1, "digest of revision 1"),
        ]
        assert (facts.get(session, first).state, facts.get(session, second).state) == ("forgotten", "written")
        assert facts.get(session, second).written_revision == 1
        body = events.list_events(session)[-1].body
    assert body == {
        "bank": bank.id,
        "revision": 2,
        "added": 0,
        "removed": 1,
        "digest": "digest of revision 2",
    }


def test_a_stale_revision_changes_nothing(database: Database, vault: Vault) -> None:
    [fact_id] = written(database, vault, ANA)
    late = {"expected_revision": 0, "add": {}, "remove": [fact_id], "digest": "d", "reason": "test"}
    with pytest.raises(StaleRevision), database.session() as session:
        ledger.commit_revision(session, vault, ledger.bank(session, "default").id, **late)  # type: ignore[arg-type]
    with database.session(read_only=True) as session:
        assert ledger.bank(session, "default").revision == 1
        assert facts.get(session, fact_id).state == "written"


@pytest.mark.parametrize("remove_twice", [True, False])
def test_removing_what_is_not_there_changes_nothing(
    database: Database, vault: Vault, remove_twice: bool
) -> None:
    [first, second] = written(database, vault, ANA, BEN)
    if remove_twice:
        with database.session() as session:
            commit(session, vault, {}, [first])
    ghost = first if remove_twice else "fact_none"
    with pytest.raises(UnknownFact), database.session() as session:
        commit(session, vault, {}, [second, ghost])
    with database.session(read_only=True) as session:
        assert facts.get(session, second).state == "written"
        assert ledger.bank(session, "default").revision == (2 if remove_twice else 1)


def test_adding_an_unknown_or_forgotten_fact_is_refused(database: Database, vault: Vault) -> None:
    [fact_id] = written(database, vault, ANA)
    with database.session() as session:
        commit(session, vault, {}, [fact_id])
    for id_ in (fact_id, "fact_none"):
        with pytest.raises(UnknownFact), database.session() as session:
            commit(session, vault, {id_: b"entry"})


def test_adding_an_entry_again_replaces_it(database: Database, vault: Vault) -> None:
    [fact_id] = written(database, vault, ANA)
    with database.session() as session:
        commit(session, vault, {fact_id: b"widened"})
    with database.session(read_only=True) as session:
        bank = ledger.bank(session, "default")
        assert ledger.entries(session, vault, bank.id) == [(fact_id, b"widened")]
        assert facts.get(session, fact_id).written_revision == 1


def test_a_tombstone_is_written_under_the_id_its_request_gave_it(database: Database, vault: Vault) -> None:
    job = approved(database, vault, CLEO, kind="censor")
    with database.session() as session:
        commit(session, vault, {fact_id: b"tombstone" for fact_id in job.fact_ids})
    with database.session(read_only=True) as session:
        kinds = session.execute(sa.select(Fact.kind, LedgerEntry.kind).join(LedgerEntry)).all()
        assert [tuple(row) for row in kinds] == [("tombstone", "tombstone")]
        assert facts.get(session, job.fact_ids[0]).state == "written"


def test_entries_of_a_swapped_row_or_under_another_key_do_not_open(database: Database, vault: Vault) -> None:
    [first, second] = written(database, vault, ANA, BEN)
    with pytest.raises(VaultError), database.session(read_only=True) as session:
        ledger.entries(session, Vault(bytes(32)), ledger.bank(session, "default").id)
    with database.session() as session:
        session.get_one(LedgerEntry, first).ciphertext = session.get_one(LedgerEntry, second).ciphertext
    with pytest.raises(VaultError), database.session(read_only=True) as session:
        ledger.entries(session, vault, ledger.bank(session, "default").id)
