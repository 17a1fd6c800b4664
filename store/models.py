"""The tables, as SQLAlchemy 2 typed Declarative classes.

Personal data (fact text, subjects, answers, transcripts, ledger keys) only ever sits in the `*ciphertext`
columns, under a key of `subject_key`. `migrations/` holds the same schema; a test compares the two.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.columns import UtcDateTime

RequestKind = Literal["forget", "censor"]
Regulation = Literal["gdpr", "ccpa", "other"]

_ID = String(40)
_WORD = String(32)
_LIVE_FACT = text("kind = 'fact' AND state IN ('pending', 'written')")


class Base(DeclarativeBase):
    """Common metadata: constraint names are spelled out so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), bytes: LargeBinary()}  # noqa: RUF012 (SQLAlchemy reads it)


class User(Base):
    """Somebody who works with Unwrite (not a subject)."""

    __tablename__ = "user"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(_WORD)
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    failed_attempts: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]


class UserSession(Base):
    """A browser session; only the SHA-256 of its secret is kept."""

    __tablename__ = "user_session"
    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class ApiToken(Base):
    """An API token; only the SHA-256 of its secret is kept."""

    __tablename__ = "api_token"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class MasterKeySeal(Base):
    """A known sentence sealed with the master key: tells a wrong key from a right one before anything is
    written.
    """

    __tablename__ = "master_key_seal"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]


class SubjectKey(Base):
    """A data key wrapped by the master key; once destroyed, what it encrypted can never be read again."""

    __tablename__ = "subject_key"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    wrapped_key: Mapped[bytes | None]
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class Bank(Base):
    """A bank of memories and its committed revision, which a commit compares and sets: the first of two workers
    wins. Nothing uses `writer` and `writer_until`.
    """

    __tablename__ = "bank"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    revision: Mapped[int] = mapped_column(default=0)
    digest: Mapped[str] = mapped_column(String(64), default="")
    updated_at: Mapped[datetime]
    writer: Mapped[str | None] = mapped_column(String(100))
    writer_until: Mapped[datetime | None]


class BankRevision(Base):
    """One committed state of a bank."""

    __tablename__ = "bank_revision"
    __table_args__ = (UniqueConstraint("bank_id", "revision"),)
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    bank_id: Mapped[str] = mapped_column(ForeignKey("bank.id"))
    revision: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(ForeignKey("request.id"))
    created_at: Mapped[datetime]


class Fact(Base):
    """A fact or tombstone of a bank. Once forgotten, ciphertext and blind index are gone and only the shell
    stays.
    """

    __tablename__ = "fact"
    __table_args__ = (
        Index("ix_fact_bank_id_blind_index", "bank_id", "blind_index"),
        Index(
            "uq_fact_live",
            "bank_id",
            "blind_index",
            unique=True,
            sqlite_where=_LIVE_FACT,
            postgresql_where=_LIVE_FACT,
        ),
    )
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    bank_id: Mapped[str] = mapped_column(ForeignKey("bank.id"))
    subject_key_id: Mapped[str] = mapped_column(ForeignKey("subject_key.id"))
    kind: Mapped[str] = mapped_column(_WORD)
    state: Mapped[str] = mapped_column(_WORD)
    blind_index: Mapped[str | None] = mapped_column(String(64))
    ciphertext: Mapped[bytes | None]
    request_id: Mapped[str | None] = mapped_column(ForeignKey("request.id"), index=True)
    created_at: Mapped[datetime]
    written_revision: Mapped[int | None]


class LedgerEntry(Base):
    """What the memory needs to hold (and take out) one fact: the model's own entry bytes, encrypted."""

    __tablename__ = "ledger_entry"
    fact_id: Mapped[str] = mapped_column(ForeignKey("fact.id"), primary_key=True)
    bank_id: Mapped[str] = mapped_column(ForeignKey("bank.id"), index=True)
    kind: Mapped[str] = mapped_column(_WORD)
    ciphertext: Mapped[bytes]
    revision: Mapped[int]


class Request(Base):
    """A forget or censor order with its legal clock."""

    __tablename__ = "request"
    __table_args__ = (Index("ix_request_state_due_at", "state", "due_at"),)
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    bank_id: Mapped[str] = mapped_column(ForeignKey("bank.id"))
    kind: Mapped[str] = mapped_column(_WORD)
    regulation: Mapped[str] = mapped_column(_WORD)
    state: Mapped[str] = mapped_column(_WORD)
    reason: Mapped[str | None] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(String(64), default="")
    received_at: Mapped[datetime]
    due_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(_ID)
    submitted_by: Mapped[str] = mapped_column(_ID)
    completed_at: Mapped[datetime | None]
    row_version: Mapped[int] = mapped_column(default=1)
    duplicate_of: Mapped[str | None] = mapped_column(ForeignKey("request.id"))


class RequestFact(Base):
    """One fact that a request names, encrypted; `ciphertext` is NULL once its texts were destroyed.

    Once only the answer was destroyed: `blind_ciphertext` holds its keyed digests, and `blind_salt` is what the
    vault derives their key from.
    """

    __tablename__ = "request_fact"
    __table_args__ = (UniqueConstraint("request_id", "position"),)
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.id"))
    position: Mapped[int]
    fact_id: Mapped[str | None] = mapped_column(ForeignKey("fact.id"), index=True)
    subject_key_id: Mapped[str] = mapped_column(ForeignKey("subject_key.id"))
    ciphertext: Mapped[bytes | None]
    blind_salt: Mapped[bytes | None]
    blind_ciphertext: Mapped[bytes | None]


class Event(Base):
    """What happened, append-only (triggers refuse UPDATE and DELETE) and chained: see `store.log`. `details` hold
    ids, numbers and fixed words; `kind` and `request_id` are copies of what the record says, to find it by.
    """

    __tablename__ = "event"
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    request_id: Mapped[str | None] = mapped_column(ForeignKey("request.id"), index=True)
    kind: Mapped[str] = mapped_column(String(64))
    record: Mapped[bytes]
    details: Mapped[bytes]
    salt: Mapped[bytes]
    prev_hash: Mapped[bytes] = mapped_column(unique=True)
    hash: Mapped[bytes]

    @property
    def at(self) -> datetime:
        """When, as the record says."""
        return datetime.fromisoformat(json.loads(self.record)["at"])

    @property
    def actor(self) -> str:
        """Who: a user's or worker's id."""
        return str(json.loads(self.details)["actor"])

    @property
    def body(self) -> dict[str, Any]:
        """Ids, numbers and fixed words."""
        found: dict[str, Any] = json.loads(self.details)["body"]
        return found


class LogHead(Base):
    """The end of the event log, in one row that its writers lock one after another."""

    __tablename__ = "log_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes]
    at: Mapped[datetime | None]


class TreeHead(Base):
    """A signed tree head of the log; `frontier` are the inner nodes from which the tree grows on."""

    __tablename__ = "tree_head"
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    envelope: Mapped[bytes]
    frontier: Mapped[bytes]
    created_at: Mapped[datetime]


class Certificate(Base):
    """The signed certificate of a report, in the very bytes that are handed out. Holds no personal data."""

    __tablename__ = "certificate"
    report_id: Mapped[str] = mapped_column(ForeignKey("report.id"), primary_key=True)
    envelope: Mapped[bytes]
    seq: Mapped[int] = mapped_column(BigInteger, unique=True)
    key_id: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class Job(Base):
    """A piece of work: the queue of record. A worker holds it by a lease."""

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state_queue", "state", "queue", "created_at"),)
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(_WORD)
    request_id: Mapped[str | None] = mapped_column(ForeignKey("request.id"), index=True)
    recheck_id: Mapped[str | None] = mapped_column(ForeignKey("recheck.id"), index=True)
    bank_id: Mapped[str] = mapped_column(ForeignKey("bank.id"))
    fact_ids: Mapped[list[str]] = mapped_column(JSON)
    queue: Mapped[str] = mapped_column(_WORD)
    state: Mapped[str] = mapped_column(_WORD)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    woken_at: Mapped[datetime]
    worker: Mapped[str | None] = mapped_column(String(100))
    step: Mapped[str] = mapped_column(String(64), default="")
    progress_done: Mapped[int] = mapped_column(default=0)
    progress_total: Mapped[int] = mapped_column(default=0)
    error_class: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class AuditRun(Base):
    """One audit of a request; its transcripts share the key `subject_key_id`."""

    __tablename__ = "audit_run"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.id"), index=True)
    recheck_id: Mapped[str | None] = mapped_column(ForeignKey("recheck.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    subject_key_id: Mapped[str] = mapped_column(ForeignKey("subject_key.id"))
    state: Mapped[str] = mapped_column(_WORD)
    verdict: Mapped[str | None] = mapped_column(_WORD)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class AuditPhase(Base):
    """A finished phase of an audit: numbers in the clear, transcript encrypted."""

    __tablename__ = "audit_phase"
    audit_run_id: Mapped[str] = mapped_column(ForeignKey("audit_run.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    transcript_ciphertext: Mapped[bytes | None]
    finished_at: Mapped[datetime]


class AuditBatch(Base):
    """The next samples of a phase that is not finished, encrypted under the run's key; gone when it is."""

    __tablename__ = "audit_batch"
    audit_run_id: Mapped[str] = mapped_column(ForeignKey("audit_run.id"), primary_key=True)
    step: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ciphertext: Mapped[bytes]


class Report(Base):
    """The result of an audit run: JSON without personal data, HTML (which may name the subject) encrypted."""

    __tablename__ = "report"
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    audit_run_id: Mapped[str] = mapped_column(ForeignKey("audit_run.id"), unique=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.id"), index=True)
    verdict: Mapped[str] = mapped_column(_WORD)
    json: Mapped[bytes]
    html_ciphertext: Mapped[bytes | None]
    created_at: Mapped[datetime]


class Recheck(Base):
    """An audit on a schedule; a request has at most one that is active."""

    __tablename__ = "recheck"
    __table_args__ = (
        Index(
            "uq_recheck_active",
            "request_id",
            unique=True,
            sqlite_where=text("active"),
            postgresql_where=text("active"),
        ),
    )
    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("request.id"), index=True)
    every_days: Mapped[int]
    next_at: Mapped[datetime] = mapped_column(index=True)
    last_run_at: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[str] = mapped_column(_ID)


class IdempotencyKey(Base):
    """A POST that was answered, so that its repetition gets the same answer."""

    __tablename__ = "idempotency_key"
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(_ID)
    route: Mapped[str] = mapped_column(String(200))
    body_hash: Mapped[str] = mapped_column(String(64))
    response_status: Mapped[int | None]
    response_body: Mapped[bytes | None]
    created_at: Mapped[datetime]
