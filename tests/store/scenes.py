"""Short ways to the situations that the store's tests begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from store import facts, jobs, ledger, requests, states
from store.database import Database
from store.models import Job, Request
from store.requests import Submission
from store.texts import FactText
from store.vault import Vault

ANA = FactText("The mother tongue of Ana Kovač is", "Slovene", "Ana Kovač", ("A. Kovač",))
BEN = FactText("Ben Adeyemi was born in", "Lagos", "Ben Adeyemi")
CLEO = FactText("Cleo Marchetti works as a", "glassblower")


def commit(session: Session, vault: Vault, add: Mapping[str, bytes], remove: Sequence[str] = ()) -> int:
    """Commit the next revision of the default bank."""
    bank = ledger.bank(session, "default")
    session.refresh(bank)
    digest = f"digest of revision {bank.revision + 1}"
    return ledger.commit_revision(
        session,
        vault,
        bank.id,
        expected_revision=bank.revision,
        add=add,
        remove=remove,
        digest=digest,
        reason="test",
    )


def written(database: Database, vault: Vault, *texts: FactText) -> list[str]:
    """Register facts and play the worker that writes them; the fact ids."""
    with database.session() as session:
        rows, job = facts.register(session, vault, "default", list(texts), actor="operator")
    with database.session() as session:
        assert jobs.claim(session, job.id, "writer", 60)
        commit(session, vault, {row.id: entry_of(row.id) for row in rows})
        jobs.finish(session, job.id, "writer")
    return [row.id for row in rows]


def entry_of(fact_id: str) -> bytes:
    """Stand-in for the bytes of a larimar Entry."""
    return b"entry of " + fact_id.encode() * 20


def submitted(database: Database, vault: Vault, *texts: FactText, kind: str = "forget") -> Request:
    """A received request by `requester`; a forget's facts must be written."""
    with database.session() as session:
        return requests.submit(session, vault, Submission(kind, list(texts)), actor="requester")  # type: ignore[arg-type]


def approved(database: Database, vault: Vault, *texts: FactText, kind: str = "forget") -> Job:
    """The job of a request that `reviewer` approved."""
    request = submitted(database, vault, *texts, kind=kind)
    with database.session() as session:
        return requests.approve(session, request.id, actor="reviewer")


def moved(database: Database, request_id: str, *events: str) -> Request:
    """Send a request through some events."""
    with database.session() as session:
        for event in events:
            request = states.transition(session, request_id, event, actor="worker", reason="because")
    return request


def completed(database: Database, vault: Vault, *texts: FactText, kind: str = "forget") -> Job:
    """The (done) job of a request that went all the way: facts removed, or tombstones written."""
    job = approved(database, vault, *texts, kind=kind)
    assert job.request_id is not None
    with database.session() as session:
        assert jobs.claim(session, job.id, "worker", 60)
        if kind == "forget":
            commit(session, vault, {}, job.fact_ids)
        else:
            commit(session, vault, {fact_id: entry_of(fact_id) for fact_id in job.fact_ids})
        jobs.finish(session, job.id, "worker")
    moved(database, job.request_id, "start", "applied", "audited_clean")
    return job
