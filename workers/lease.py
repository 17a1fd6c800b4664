"""A job in a worker's hands: its lease is renewed by a thread, and every transaction checks it first.

The check sits inside the transaction that commits the work, so a worker that slept through its lease (a
paused machine, a swapped-out process) can compute what it likes but commit nothing: whoever claimed the job
later wins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.orm import Session

from store import jobs
from store.database import Database
from store.errors import LeaseLost
from store.models import Job

PROGRESS_EVERY_S = 0.5

log = structlog.get_logger()


class Stopping(Exception):
    """The worker was asked to stop: hand the job back and let another worker go on."""


class Lease:
    """One claimed job. Use as a context manager; `transaction` and `progress` raise Stopping or LeaseLost."""

    def __init__(
        self,
        database: Database,
        job: Job,
        worker: str,
        *,
        lease_s: float,
        heartbeat_s: float,
        stop: threading.Event,
    ) -> None:
        self.job = job
        self.worker = worker
        self._database = database
        self._lease_s = lease_s
        self._heartbeat_s = heartbeat_s
        self._stop = stop
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{job.id}", daemon=True)
        self._told: tuple[float, str] = (0.0, "")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A transaction that commits only while this worker still holds the job."""
        self.check()
        with self._database.session() as session:
            jobs.hold(session, self.job.id, self.worker)
            yield session

    def check(self) -> None:
        """Raise Stopping when the worker shall stop, LeaseLost when the job is no longer its own."""
        if self._stop.is_set():
            raise Stopping
        if self._lost.is_set():
            raise LeaseLost("Another worker has taken this job over.")

    def progress(self, step: str, done: int, total: int) -> None:
        """Tell people how far the job is (written at most twice a second)."""
        self.check()
        at, last_step = self._told
        now = time.monotonic()
        if step == last_step and done < total and now - at < PROGRESS_EVERY_S:
            return
        self._told = (now, step)
        with self._database.session() as session:
            jobs.progress(session, self.job.id, step, done, total)

    def _beat(self) -> None:
        while not self._over.wait(self._heartbeat_s):
            try:
                with self._database.session() as session:
                    held = jobs.heartbeat(session, self.job.id, self.worker, self._lease_s)
            except Exception as error:  # a busy or absent database: the lease has time left, try again
                log.warning("heartbeat failed", job=self.job.id, error=type(error).__name__)
                continue
            if not held:
                self._lost.set()
                return
