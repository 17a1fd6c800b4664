"""The model in a worker process: loaded once, on first use, with every bank at its committed revision.

A worker holds no truth. The bank is a function of the ledger: whenever the revision in the database has
moved (by this worker, or another one) the bank is built anew from the ledger's rows, and the bits are the
same everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from store import ledger
from store.database import Database
from store.vault import Vault

if TYPE_CHECKING:
    from larimar import Larimar


@dataclass(frozen=True)
class LiveBank:
    """A bank in memory: the model that serves it, at one committed revision."""

    bank_id: str
    revision: int
    model: Larimar


@dataclass(frozen=True)
class Ledger:
    """The committed state of a bank: revision, keyed digest («» before the first commit), rows by fact id."""

    revision: int
    digest: str
    rows: Mapping[str, bytes]


class ModelHost:
    """Loads the weights lazily and keeps the banks; `checkpoint` and `device` as in the settings."""

    def __init__(self, database: Database, vault: Vault, *, checkpoint: Path | None, device: str) -> None:
        self._database = database
        self._vault = vault
        self._checkpoint = checkpoint
        self._device = device
        self._weights: Larimar | None = None
        self._banks: dict[str, LiveBank] = {}

    @property
    def weights(self) -> Larimar:
        """The model with an empty bank; loading takes some seconds, once a process."""
        if self._weights is None:
            from larimar import Larimar

            self._weights = Larimar.load(self._checkpoint, device=self._device)
        return self._weights

    def live(self, bank_id: str) -> LiveBank:
        """The bank at its committed revision, from the cache or rebuilt from the ledger."""
        with self._database.session(read_only=True) as session:
            revision = ledger.get_bank(session, bank_id).revision
            known = self._banks.get(bank_id)
            if known is not None and known.revision == revision:
                return known
        return self.rebuild(bank_id)

    def rebuild(self, bank_id: str) -> LiveBank:
        """Read the ledger and build the bank from nothing but its rows."""
        kept = self.ledger(bank_id)
        fresh = LiveBank(bank_id, kept.revision, self.build(kept.rows))
        self._banks[bank_id] = fresh
        return fresh

    def adopt(self, bank_id: str, revision: int, model: Larimar) -> None:
        """Keep `model` as the bank at `revision`, after its commit went through."""
        self._banks[bank_id] = LiveBank(bank_id, revision, model)

    def drop(self, bank_id: str) -> None:
        """Forget the cached bank: the next use rebuilds it."""
        self._banks.pop(bank_id, None)

    def build(self, rows: Mapping[str, bytes], *, without: Collection[str] = ()) -> Larimar:
        """A model whose bank never held the facts in `without`: built from the other ledger rows alone."""
        from larimar import Entry

        entries = [Entry.from_bytes(row) for fact_id, row in sorted(rows.items()) if fact_id not in without]
        return self.weights.with_bank(entries)

    def ledger(self, bank_id: str) -> Ledger:
        """The committed state that the database holds; revision and rows belong together."""
        while True:
            with self._database.session(read_only=True) as session:
                bank = ledger.get_bank(session, bank_id)
                revision, digest = bank.revision, bank.digest
                rows = dict(ledger.entries(session, self._vault, bank_id))
                if ledger.get_bank(session, bank_id).revision == revision:
                    return Ledger(revision, digest, rows)
