"""Facts and the bank over the API: write many, list without text, revision and digest."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy.orm import Session

from store import facts, ledger
from store.errors import DuplicateFact, UnknownBank
from store.models import Bank, Fact, Job
from store.texts import FactText
from web import queries
from web.api import api
from web.api.guard import idempotent, requires
from web.api.inputs import FactFilter, FactsIn
from web.api.outputs import (
    BankOut,
    FactOut,
    FactPage,
    FactsResult,
    JobOut,
    Refused,
    RevisionList,
    RevisionOut,
    Written,
)
from web.context import reading, services, transaction, wake_after_commit
from web.submission import fact_texts, register


@api.post("/facts")
@requires("facts:write")
@idempotent
@api.input(FactsIn)
@api.output(FactsResult, status_code=202)
def write_facts(json_data: FactsIn) -> tuple[FactsResult, int]:
    """Write facts into the memory

    Facts that are there already, wait to be written or are listed twice are named under `failed`; the
    others are queued for a worker. A list in which a text breaks a rule is refused as a whole.
    """
    texts = fact_texts(json_data.facts)
    with transaction() as session:
        taken, written, job = _register(session, texts)
    if job is not None:
        wake_after_commit(job)
    reached = zip(taken, written, strict=True)
    refused = sorted(set(range(len(texts))) - set(taken))
    return FactsResult(
        succeeded=[Written(position=position, id=fact.id) for position, fact in reached],
        failed=[
            Refused(
                position=position, code=DuplicateFact.code, message="In the bank already, or listed twice."
            )
            for position in refused
        ],
        job=JobOut.of(job) if job is not None else None,
    ), 202


@api.get("/facts")
@requires("facts:read")
@api.input(FactFilter, location="query")
@api.output(FactPage)
def list_facts(query_data: FactFilter) -> FactPage:
    """List the facts of the bank without their text, newest first"""
    states = [query_data.state] if query_data.state else []
    with reading() as session:
        if _bank(session) is None:
            return FactPage(items=[], next_cursor=None)
        found = facts.list_facts(
            session, services().settings.bank, states=states, limit=query_data.limit, cursor=query_data.cursor
        )
    return FactPage(items=[FactOut.of(fact) for fact in found.items], next_cursor=found.next_cursor)


@api.get("/bank")
@requires("facts:read")
@api.output(BankOut)
def show_bank() -> BankOut:
    """Show the bank: revision, digest and counts"""
    with reading() as session:
        bank = _bank(session)
        if bank is None:
            raise UnknownBank("The bank is made when the first fact is written.")
        counts = asdict(queries.fact_counts(session, bank.id))
    return BankOut(
        name=bank.name, revision=bank.revision, digest=bank.digest, updated_at=bank.updated_at, facts=counts
    )


@api.get("/bank/revisions")
@requires("facts:read")
@api.output(RevisionList)
def list_revisions() -> RevisionList:
    """List the newest revisions of the bank, newest first"""
    with reading() as session:
        bank = _bank(session)
        rows = ledger.revisions(session, bank.id) if bank is not None else []
    return RevisionList(items=[RevisionOut.of(row) for row in rows])


def _register(session: Session, texts: list[FactText]) -> tuple[list[int], list[Fact], Job | None]:
    """Positions taken, their facts and the job. Duplicates are taken out of the list, and the rest is tried
    again.
    """
    positions = list(range(len(texts)))
    try:
        return positions, *register(session, texts)
    except DuplicateFact as error:
        positions = [position for position in positions if position not in error.positions]
    if not positions:
        return [], [], None
    return positions, *register(session, [texts[position] for position in positions])


def _bank(session: Session) -> Bank | None:
    try:
        return ledger.bank(session, services().settings.bank)
    except UnknownBank:
        return None
