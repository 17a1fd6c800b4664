"""A change of a bank: made on a copy, compared with a rebuild from the ledger, committed in one transaction.

The state of a bank is a function of its ledger. So the copy that was written to (or taken from) must have
the same keyed digest as a bank that is built from nothing but the rows that the ledger will hold: equal
bits, or the job fails loudly and nothing is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from store import ledger
from store.errors import StaleRevision
from workers.context import JobContext
from workers.model import LiveBank

if TYPE_CHECKING:
    from larimar import Entry, Larimar

TRIES = 5


class DigestMismatch(Exception):
    """The changed bank and its rebuild differ: nothing was committed, and somebody must look."""


@dataclass(frozen=True)
class Edit:
    """What an edit of a bank did: entries to put into the ledger by fact id, and ids to take out."""

    add: Mapping[str, Entry]
    remove: Sequence[str] = ()


@dataclass(frozen=True)
class Change:
    """A committed change: the revisions and keyed digests on both sides of it."""

    revision_before: int
    revision_after: int
    digest_before: str
    digest_after: str
    digest_rebuilt: str
    entries_before: int
    entries_after: int
    restated: Sequence[str] = ()
    """of a forget that is audited: ids of facts in the memory that state again what it removed"""


EditBank = Callable[["Larimar"], Edit]
Also = Callable[[Session, "Change | None"], None]


def change_bank(
    context: JobContext,
    edit: EditBank,
    *,
    reason: str,
    also: Also = lambda session, change: None,
) -> Change | None:
    """Apply `edit` to the bank of the job; None when there was nothing left to change.

    `edit` changes the model it is given (a copy) and may be called again when another worker commits first.
    `also` runs in the same transaction as the commit. Raises DigestMismatch.
    """
    for _ in range(TRIES):
        live = context.models.live(context.job.bank_id)
        try:
            return _commit(context, live, edit, reason, also)
        except StaleRevision:
            continue
    raise StaleRevision("Other workers keep committing to this bank; the job will be tried again.")


def _commit(
    context: JobContext,
    live: LiveBank,
    edit: EditBank,
    reason: str,
    also: Also,
) -> Change | None:
    model = live.model.with_bank(live.model.bank.entries.values())
    edited = edit(model)
    if not edited.add and not edited.remove:
        with context.lease.transaction() as session:
            also(session, None)
        return None
    change = _verified(context, live, model, edited)
    with context.lease.transaction() as session:
        ledger.commit_revision(
            session,
            context.vault,
            live.bank_id,
            expected_revision=live.revision,
            add={fact_id: entry.to_bytes() for fact_id, entry in edited.add.items()},
            remove=edited.remove,
            digest=change.digest_after,
            reason=reason,
            request_id=context.job.request_id,
            actor=context.lease.worker,
        )
        also(session, change)
    context.models.adopt(live.bank_id, change.revision_after, model)
    return change


def _verified(context: JobContext, live: LiveBank, model: Larimar, edited: Edit) -> Change:
    """Compare the edited copy with a rebuild from the ledger's own rows; DigestMismatch if a bit differs.

    Raises StaleRevision when the ledger has moved on since `live` was read.
    """
    key = context.vault.digest_key()
    kept = context.models.ledger(live.bank_id)
    if kept.revision != live.revision:
        raise StaleRevision("Another worker committed a revision of this bank first.")
    added = {fact_id: entry.to_bytes() for fact_id, entry in edited.add.items()}
    rebuilt = context.models.build({**kept.rows, **added}, without=edited.remove).digest(key)
    before, after = live.model.digest(key), model.digest(key)
    if before != (kept.digest or before):
        context.models.drop(live.bank_id)
        raise DigestMismatch("The bank in memory is not the state that was committed last.")
    if rebuilt != after:
        context.models.drop(live.bank_id)
        raise DigestMismatch("The changed bank differs from a bank that is rebuilt from its ledger.")
    return Change(
        revision_before=live.revision,
        revision_after=live.revision + 1,
        digest_before=before,
        digest_after=after,
        digest_rebuilt=rebuilt,
        entries_before=len(live.model.bank),
        entries_after=len(model.bank),
    )
