"""From a job's id to finished work: claim, work under a lease, finish or fail.

The claim is a compare-and-set in the database, so waking is harmless: twice, late, or for a job that is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy.orm import Session

from audit.errors import TranscriptTampered
from larimar.errors import BankFull, FactTooLong
from store import idempotency, jobs, people, rechecks
from store.database import Database
from store.errors import LeaseLost, TextsDestroyed
from store.models import Job
from store.vault import Vault
from unwrite.logs import where
from unwrite.settings import Settings
from workers import request, write
from workers.change import DigestMismatch
from workers.context import JobContext
from workers.lease import Lease, Stopping
from workers.model import ModelHost

Step = Callable[[JobContext], None]
Wake = Callable[[str, str], None]

KINDS: Mapping[str, Step] = {
    "write": write.run,
    "forget": request.run,
    "censor": request.run,
    "recheck": request.recheck,
}

HOPELESS = (
    DigestMismatch,
    BankFull,
    FactTooLong,
    TextsDestroyed,
    TranscriptTampered,
)  # trying again would end the same way

log = structlog.get_logger()


class Runner:
    """Works on jobs for one worker process."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        vault: Vault,
        models: ModelHost,
        *,
        worker: str,
        stop: threading.Event,
        kinds: Mapping[str, Step] = KINDS,
    ) -> None:
        self.worker = worker
        self.wake: Wake = lambda job_id, queue: None
        self._settings = settings
        self._database = database
        self._vault = vault
        self._models = models
        self._stop = stop
        self._kinds = kinds

    def run(self, job_id: str) -> bool:
        """Work on the job if it can be claimed; True when this call finished it. Never raises."""
        try:
            with self._database.session() as session:
                job = jobs.claim(session, job_id, self.worker, self._settings.lease_s)
            return job is not None and self._work(job)
        except Exception as error:  # a broken database must not stop the worker; the sweep repeats the job
            log.error("job not run", job=job_id, error=type(error).__name__, at=where(error))
            return False

    def sweep(self) -> int:
        """Wake workers for jobs that were left behind (returns how many) and finish postponed erasures."""
        woken = self._announce("jobs woken again", jobs.sweep)
        try:
            self._database.scrub()
        except Exception as error:
            log.error("erasure postponed", error=type(error).__name__)
        return woken

    def enqueue_rechecks(self) -> int:
        """Make jobs of the re-checks that are due; returns how many."""
        attempts = self._settings.max_attempts
        return self._announce("re-checks due", partial(rechecks.enqueue_due, max_attempts=attempts))

    def purge(self) -> None:
        """Drop browser sessions that have expired and idempotency keys that were remembered long enough."""
        now = datetime.now(UTC)
        try:
            with self._database.session() as session:
                people.purge_sessions(session, now)
                idempotency.purge(session, now)
        except Exception as error:
            log.error("purge postponed", error=type(error).__name__)

    def _announce(self, what: str, find: Callable[[Session, datetime], Sequence[Job]]) -> int:
        """Wake a worker for each job found, once the transaction is committed."""
        try:
            with self._database.session() as session:
                found = [(job.id, job.queue) for job in find(session, datetime.now(UTC))]
        except Exception as error:
            log.error("database not read", task=what, error=type(error).__name__)
            return 0
        for job_id, queue in found:
            self.wake(job_id, queue)
        if found:
            log.info(what, count=len(found))
        return len(found)

    def _work(self, job: Job) -> bool:
        log.info("job started", job=job.id, kind=job.kind, attempt=job.attempts)
        lease = Lease(
            self._database,
            job,
            self.worker,
            lease_s=self._settings.lease_s,
            heartbeat_s=self._settings.heartbeat_s,
            stop=self._stop,
        )
        context = JobContext(job, lease, self._settings, self._database, self._vault, self._models)
        try:
            with lease:
                self._kinds[job.kind](context)
                with self._database.session() as session:
                    jobs.finish(session, job.id, self.worker)
        except Stopping:
            self._hand_back(job)
            return False
        except LeaseLost:
            log.warning("job ended by a person or taken over by another worker", job=job.id)
            return False
        except Exception as error:
            self._fail(job, error)
            return False
        log.info("job done", job=job.id, kind=job.kind)
        return True

    def _hand_back(self, job: Job) -> None:
        with self._database.session() as session:
            jobs.release(session, job.id, self.worker)
        self.wake(job.id, job.queue)
        log.info("job handed back", job=job.id)

    def _fail(self, job: Job, error: Exception) -> None:
        """Record the class of the error, never its text; the store decides whether the job is tried again."""
        log.error(
            "job failed",
            job=job.id,
            kind=job.kind,
            attempt=job.attempts,
            error=type(error).__name__,
            at=where(error),
        )
        with self._database.session() as session:
            jobs.fail(
                session, job.id, self.worker, type(error).__name__, retry=not isinstance(error, HOPELESS)
            )
        self.wake(job.id, job.queue)
