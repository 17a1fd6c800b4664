"""What every view needs: the settings, the database, the vault, and a way to wake a worker after the commit.

One HTTP request is at most one write transaction. An idempotent POST opens it around the whole view, so
that the effect and the remembered answer are committed together; `transaction()` joins it where there is
one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Response, current_app, g
from sqlalchemy.orm import Session

from store.database import Database
from store.models import Job
from store.vault import Vault
from unwrite.settings import Settings

Wake = Callable[[str, str], None]  # (job id, queue)


@dataclass(frozen=True)
class Services:
    """The process-wide collaborators of the views."""

    settings: Settings
    database: Database
    vault: Vault
    wake: Wake


def services() -> Services:
    """The services of the current application."""
    found = current_app.extensions["unwrite"]
    assert isinstance(found, Services)
    return found


@contextmanager
def transaction() -> Iterator[Session]:
    """The transaction of this HTTP request if one is open, else a new one that commits at the end of the
    block.
    """
    current = g.get("transaction")
    if isinstance(current, Session):
        yield current
        return
    with services().database.session() as session:
        g.transaction = session
        try:
            yield session
        finally:
            g.pop("transaction", None)


@contextmanager
def reading() -> Iterator[Session]:
    """A read-only transaction, or the one that is open: it never waits for a writer."""
    current = g.get("transaction")
    if isinstance(current, Session):
        yield current
        return
    with services().database.session(read_only=True) as session:
        yield session


def wake_after_commit(job: Job) -> None:
    """Remember to wake a worker for `job` once the answer is ready, that is after the transaction was
    committed.
    """
    g.setdefault("wakes", []).append((job.id, job.queue))


def send_wakes(response: Response) -> Response:
    """After-request hook: wake the workers of a call that succeeded; a rolled-back job is never announced."""
    wakes: list[tuple[str, str]] = g.pop("wakes", [])
    if response.status_code < 400:
        for job_id, queue in wakes:
            services().wake(job_id, queue)
    return response
