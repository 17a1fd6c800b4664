"""What a job's steps work with: one frozen bundle instead of six arguments."""

from __future__ import annotations

from dataclasses import dataclass

from store.database import Database
from store.models import Job
from store.vault import Vault
from unwrite.settings import Settings
from workers.lease import Lease
from workers.model import ModelHost


@dataclass(frozen=True)
class JobContext:
    """The job, the lease under which it is worked on, and the process-wide collaborators."""

    job: Job
    lease: Lease
    settings: Settings
    database: Database
    vault: Vault
    models: ModelHost

    def progress(self, step: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done, and how far it is; raises Stopping or LeaseLost (see `Lease`)."""
        self.lease.progress(step, done, total)
