"""One request in a worker's hands: its facts, its audit run, and the phases that are saved already.

A phase is saved as soon as it is finished; a job that comes back after a crash asks for it and goes on
behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from audit.blind import BlindKey, BlindRecord, blinded
from audit.facts import AuditFact
from audit.statement import salted_lines
from store import audits, requests
from store.models import Request
from store.requests import RequestFact
from workers.context import JobContext
from workers.write import model_fact

if TYPE_CHECKING:
    import larimar


@dataclass(frozen=True)
class Case:
    """The request, its facts in words and the audit run that belongs to this job."""

    context: JobContext
    request: Request
    facts: tuple[RequestFact, ...]
    run_id: str

    @classmethod
    def open(cls, context: JobContext) -> Case:
        """Read the request and take up its unfinished audit run, or begin a new one."""
        job = context.job
        assert job.request_id is not None
        with context.lease.transaction() as session:
            run = audits.start_run(
                session, context.vault, request_id=job.request_id, job_id=job.id, recheck_id=job.recheck_id
            )
            request = requests.get(session, job.request_id)
            facts = requests.facts_of(session, context.vault, job.request_id)
        return cls(context, request, tuple(facts), run.id)

    @cached_property
    def fact_ids(self) -> list[str]:
        """The facts to forget, or the tombstones to write, by position."""
        return [fact.fact_id for fact in self.facts]

    @cached_property
    def audit_facts(self) -> list[AuditFact]:
        """The facts as the audit attacks them."""
        return [_audit_fact(fact) for fact in self.facts]

    @property
    def is_blind(self) -> bool:
        """Whether answers were destroyed: they are looked for by their digests, and outputs are not kept."""
        return any(fact.is_blind for fact in self.facts)

    def model_facts(self) -> list[larimar.Fact]:
        """The facts as the model takes them."""
        return [model_fact(fact.fact_id, fact.text) for fact in self.facts]

    def seed(self, purpose: str, number: int = 0) -> int:
        """A seed that is the same whenever this run does the same thing: a resumed phase repeats itself."""
        digest = hashlib.sha256(f"{self.run_id}/{purpose}/{number}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def saved(self, phase: str) -> dict[str, Any] | None:
        """The saved result of a phase of this run."""
        with self.context.database.session(read_only=True) as session:
            return audits.phase(session, self.run_id, phase)

    def saved_ever(self, phase: str) -> dict[str, Any] | None:
        """The newest saved result of a phase over all runs of the request (what was measured before a removal
        cannot be measured again after it).
        """
        with self.context.database.session(read_only=True) as session:
            return audits.latest_phase(session, self.request.id, phase)

    def save(
        self,
        phase: str,
        result: dict[str, Any],
        transcript: bytes | None = None,
        also: Callable[[Session], None] = lambda session: None,
    ) -> None:
        """Save a finished phase; `also` runs in the same transaction."""
        with self.context.lease.transaction() as session:
            self.save_in(session, phase, result, transcript)
            also(session)

    def save_in(
        self, session: Session, phase: str, result: dict[str, Any], transcript: bytes | None = None
    ) -> None:
        """Save a finished phase in a transaction that is open already; a transcript gets its salt here."""
        transcript = None if transcript is None else salted_lines(transcript)
        audits.save_phase(session, self.context.vault, self.run_id, phase, result, transcript)

    def give_up(self) -> None:
        """End the run without a report, because its stored samples cannot be trusted: the next one begins anew."""
        with self.context.lease.transaction() as session:
            audits.end_run(session, self.run_id, "tampered", actor=self.context.lease.worker)


def _audit_fact(fact: RequestFact) -> AuditFact:
    text = fact.text
    if fact.blind is None:
        return AuditFact(fact.fact_id, text.prompt, (text.answer,), text.subject, text.aliases)
    known = AuditFact(fact.fact_id, text.prompt, (), text.subject, text.aliases)
    return blinded(known, BlindKey(fact.blind.key), BlindRecord.model_validate_json(fact.blind.record))
