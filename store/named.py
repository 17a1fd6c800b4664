"""The facts that a request names: their texts, or what is left of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import models, subjects
from store.errors import TextsDestroyed, UnknownRequest
from store.texts import FactText
from store.vault import Vault


@dataclass(frozen=True)
class RequestFact:
    """One fact that a request names, with its text; `fact_id` is the fact to forget or the tombstone to
    write.
    """

    fact_id: str
    position: int
    text: FactText
    blind: BlindText | None = None

    @property
    def is_blind(self) -> bool:
        """Whether the answer was destroyed."""
        return self.blind is not None


@dataclass(frozen=True)
class BlindText:
    """What is left of a destroyed answer: the key of its digests, and their record as `audit.blind` wrote it."""

    key: bytes = field(repr=False)
    record: bytes


def facts_of(session: Session, vault: Vault, request_id: str) -> list[RequestFact]:
    """The facts a request names, decrypted, by position; `TextsDestroyed` once `destroy_texts` ran.

    After `destroy_answers` a text has no answer, and `blind` is what is left of it.
    """
    rows = fact_rows(session, request_id)
    if any(row.ciphertext is None for row in rows):
        raise TextsDestroyed("The texts of this request were destroyed.")
    keys = subjects.open_keys(session, vault, (row.subject_key_id for row in rows))
    return [_opened(vault, keys[row.subject_key_id], row) for row in rows]


def refuse_without_texts(session: Session, request_id: str) -> None:
    """Raise `TextsDestroyed` when nothing is left with which the request could be audited again."""
    if any(row.ciphertext is None for row in fact_rows(session, request_id)):
        raise TextsDestroyed("The texts of this request were destroyed: it cannot be audited any more.")


def fact_ids_of(session: Session, request_id: str) -> list[str]:
    """The ids of the facts a request names, by position, without reading any text."""
    return [row.fact_id for row in fact_rows(session, request_id) if row.fact_id is not None]


def fact_rows(session: Session, request_id: str) -> list[models.RequestFact]:
    """The rows of a request's facts, by position; `UnknownRequest`."""
    query = sa.select(models.RequestFact).where(models.RequestFact.request_id == request_id)
    rows = list(session.scalars(query.order_by(models.RequestFact.position)))
    if not rows:
        raise UnknownRequest("There is no request with this id.")
    return rows


def _opened(vault: Vault, key: bytes, row: models.RequestFact) -> RequestFact:
    sealed = row.ciphertext or b""
    plaintext = vault.decrypt(key, sealed, table="request_fact", column="ciphertext", row=row.id)
    blind = None
    if row.blind_ciphertext is not None and row.blind_salt is not None:
        record = vault.decrypt(key, row.blind_ciphertext, table="request_fact", column="blind", row=row.id)
        blind = BlindText(vault.blind_key(row.blind_salt, row.id), record)
    return RequestFact(row.fact_id or "", row.position, FactText.from_bytes(plaintext), blind)
