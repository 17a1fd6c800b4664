"""What the tests of the web room need to have happened: users, written facts, requests that a worker dealt
with.

Everything goes through the real store into a real SQLite file; only the model is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store import audits, facts, jobs, ledger, people, rechecks, requests, states
from store.database import Database
from store.models import Request, User
from store.texts import FactText
from store.vault import Vault

PASSWORD = "correct horse battery"
ANA = FactText("The mother tongue of Ana Reyes is", "Basque", "Ana Reyes", ("A. Reyes",))
BEN = FactText("Ben Okafor was born in", "Port Harcourt", "Ben Okafor")
WORKER = "worker-1"


@dataclass(frozen=True)
class Scenario:
    """A small world in one database."""

    database: Database
    vault: Vault
    bank: str = "default"

    def user(self, role: str, email: str = "") -> User:
        """An account; its password is `PASSWORD`."""
        with self.database.session() as session:
            return people.create_user(session, email or f"{role}@example.org", role.title(), role, PASSWORD)

    def token(self, user: User, *scopes: str) -> str:
        """The secret of a new token; without scopes it has all of the user's role."""
        wanted = scopes or tuple(people.ROLES[user.role])
        with self.database.session() as session:
            return people.create_token(session, user, "test", wanted, None)[1]

    def write(self, *texts: FactText) -> list[str]:
        """Facts that are written in the memory; their ids."""
        with self.database.session() as session:
            made, job = facts.register(session, self.vault, self.bank, list(texts), actor="cli")
        self._finish_writing([fact.id for fact in made], job.id)
        return [fact.id for fact in made]

    def submit(self, user: User, *texts: FactText, kind: str = "forget", **more: str) -> Request:
        """A request that was received."""
        submission = requests.Submission(kind=kind, facts=texts, bank=self.bank, **more)  # type: ignore[arg-type]
        with self.database.session() as session:
            return requests.submit(session, self.vault, submission, actor=user.id)

    def approve(self, user: User, request_id: str) -> str:
        """Approve; the id of the job."""
        with self.database.session() as session:
            return requests.approve(session, request_id, actor=user.id, allow_submitter=True).id

    def start(
        self, request_id: str, job_id: str, *, step: str = "before", done: int = 0, total: int = 0
    ) -> None:
        """A worker takes the job and reports a step."""
        with self.database.session() as session:
            jobs.claim(session, job_id, WORKER, 60)
            states.transition(session, request_id, "start", actor=WORKER)
            jobs.progress(session, job_id, step, done, total)

    def finish(
        self,
        request_id: str,
        job_id: str,
        *,
        verdict: str = "pass",
        html: bytes = b"<p>report</p>",
        data: bytes = b"",
    ) -> str:
        """The worker applies, audits and reports; the id of the report."""
        ids = self._fact_ids(request_id)
        with self.database.session() as session:
            item = requests.get(session, request_id)
            bank = ledger.get_bank(session, item.bank_id)
            add = {} if item.kind == "forget" else {fact_id: b"tombstone" for fact_id in ids}
            remove = ids if item.kind == "forget" else ()
            self._commit(bank.id, bank.revision, add, remove, request_id, session)
            states.transition(session, request_id, "applied", actor=WORKER)
            run = audits.start_run(session, self.vault, request_id=request_id, job_id=job_id)
            report = audits.save_report(
                session,
                self.vault,
                run.id,
                request_id,
                verdict,
                data or b'{"verdict": "%s"}' % verdict.encode(),
                html,
            )
            outcome = "audited_clean" if verdict == "pass" else "audited_leaking"
            states.transition(session, request_id, outcome, actor=WORKER)
            jobs.finish(session, job_id, WORKER)
        return report.id

    def reported(
        self, request_id: str, data: bytes, *, recheck_id: str | None = None, verdict: str = "pass"
    ) -> str:
        """One more audit of a request and its report, as a re-check makes it; the id of the report."""
        with self.database.session() as session:
            (job, *_) = jobs.of_request(session, request_id)
            run = audits.start_run(
                session, self.vault, request_id=request_id, job_id=job.id, recheck_id=recheck_id
            )
            if recheck_id is not None:
                rechecks.get(session, recheck_id).last_run_at = run.started_at
            return audits.save_report(
                session, self.vault, run.id, request_id, verdict, data, b"<p>again</p>"
            ).id

    def completed(
        self, user: User, *texts: FactText, verdict: str = "pass", data: bytes = b"", **more: str
    ) -> tuple[Request, str]:
        """A request that went all the way, and its report."""
        item = self.submit(user, *texts, **more)
        job_id = self.approve(user, item.id)
        self.start(item.id, job_id)
        report_id = self.finish(item.id, job_id, verdict=verdict, data=data)
        with self.database.session(read_only=True) as session:
            return requests.get(session, item.id), report_id

    def state(self, request_id: str) -> str:
        """The state of a request now."""
        with self.database.session(read_only=True) as session:
            return requests.get(session, request_id).state

    def _fact_ids(self, request_id: str) -> list[str]:
        with self.database.session(read_only=True) as session:
            return requests.fact_ids_of(session, request_id)

    def _finish_writing(self, ids: Sequence[str], job_id: str) -> None:
        with self.database.session() as session:
            jobs.claim(session, job_id, WORKER, 60)
            bank = ledger.bank(session, self.bank)
            self._commit(bank.id, bank.revision, {fact_id: b"entry" for fact_id in ids}, (), None, session)
            jobs.finish(session, job_id, WORKER)

    def _commit(self, bank_id, revision, add, remove, request_id, session) -> None:  # type: ignore[no-untyped-def]
        ledger.commit_revision(
            session,
            self.vault,
            bank_id,
            expected_revision=revision,
            add=add,
            remove=remove,
            digest=f"{revision + 1:064x}",
            reason="write" if add else "forget",
            request_id=request_id,
        )
