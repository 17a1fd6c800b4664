"""What the pages and the API hand to the store when answers are to be destroyed and still be recognised."""

from __future__ import annotations

from audit.blind import BlindKey, record_alone
from audit.facts import AuditFact
from store.texts import FactText


def blind(key: bytes, fact_id: str, text: FactText) -> bytes | None:
    """The record of the answer's digests under `key`; None when prompt or names hold the answer as well."""
    fact = AuditFact(fact_id, text.prompt, (text.answer,), text.subject, text.aliases)
    return record_alone(BlindKey(key), fact)
