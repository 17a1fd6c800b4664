"""Where the samples of a running phase lie: encrypted batches in the database, written under the job's lease.

A worker that lost its job (or whose job a person stopped) cannot add a batch, so this is also where it notices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.errors import TranscriptTampered
from store import samples
from store.errors import VaultError

if TYPE_CHECKING:
    from workers.case import Case


class StoredSamples:
    """The `audit.journal.SampleLog` of one step of a case."""

    def __init__(self, case: Case, step: str) -> None:
        self._case = case
        self._step = step

    def read(self) -> bytes:
        """Everything that was appended. Raises TranscriptTampered when a batch does not open."""
        return b"".join(self._batches())

    def append(self, data: bytes) -> None:
        """One batch, one transaction. Raises LeaseLost when the job is no longer this worker's."""
        context = self._case.context
        with context.lease.transaction() as session:
            samples.append(session, context.vault, self._case.run_id, self._step, data)

    def cut(self, size: int) -> None:
        """Drop everything behind `size` bytes."""
        kept: list[bytes] = []
        for batch in self._batches():
            left = size - sum(map(len, kept))
            if left <= 0:
                break
            kept.append(batch[:left])
        context = self._case.context
        with context.lease.transaction() as session:
            samples.keep(session, context.vault, self._case.run_id, self._step, kept)

    def _batches(self) -> list[bytes]:
        context = self._case.context
        with context.database.session(read_only=True) as session:
            try:
                return samples.read(session, context.vault, self._case.run_id, self._step)
            except VaultError:
                raise TranscriptTampered("a stored batch of samples was changed or moved") from None
