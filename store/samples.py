"""The samples of a phase that is not finished: encrypted batches, in the order in which they came.

One batch is one transaction, so that a worker that dies leaves whole batches behind and nothing else. Each is
bound to its run, its step and its number: one that was changed, moved or exchanged does not open.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import audits, subjects
from store.database import changed
from store.models import AuditBatch
from store.vault import Vault


def read(session: Session, vault: Vault, run_id: str, step: str) -> list[bytes]:
    """The batches of a step, decrypted, oldest first. `VaultError` when one does not open."""
    rows = _rows(session, run_id, step)
    key = _key(session, vault, run_id) if rows else b""
    return [vault.decrypt(key, row.ciphertext, **_place(run_id, step, row.number)) for row in rows]


def append(session: Session, vault: Vault, run_id: str, step: str, data: bytes) -> None:
    """Add a batch at the end."""
    mine = sa.select(sa.func.max(AuditBatch.number)).where(_of(run_id, step))
    last = session.scalar(mine)
    number = 0 if last is None else last + 1
    sealed = vault.encrypt(_key(session, vault, run_id), data, **_place(run_id, step, number))
    session.add(AuditBatch(audit_run_id=run_id, step=step, number=number, ciphertext=sealed))
    session.flush()


def keep(session: Session, vault: Vault, run_id: str, step: str, batches: Sequence[bytes]) -> None:
    """Put these batches in the place of all that are there."""
    clear(session, run_id, step)
    for batch in batches:
        append(session, vault, run_id, step, batch)


def clear(session: Session, run_id: str, step: str | None = None) -> None:
    """Drop the batches of a step, or of the whole run."""
    mine = AuditBatch.audit_run_id == run_id if step is None else _of(run_id, step)
    changed(session, sa.delete(AuditBatch).where(mine))
    session.expire_all()


def _rows(session: Session, run_id: str, step: str) -> list[AuditBatch]:
    query = sa.select(AuditBatch).where(_of(run_id, step)).order_by(AuditBatch.number)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def _of(run_id: str, step: str) -> sa.ColumnElement[bool]:
    return sa.and_(AuditBatch.audit_run_id == run_id, AuditBatch.step == step)


def _place(run_id: str, step: str, number: int) -> dict[str, str]:
    return {"table": "audit_batch", "column": "ciphertext", "row": f"{run_id}/{step}/{number}"}


def _key(session: Session, vault: Vault, run_id: str) -> bytes:
    key_id = audits.get_run(session, run_id).subject_key_id
    return subjects.open_keys(session, vault, [key_id])[key_id]
