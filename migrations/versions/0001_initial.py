"""The initial schema: people, keys, banks, requests, jobs, audits and the append-only event log.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_LIVE_FACT = sa.text("kind = 'fact' AND state IN ('pending', 'written')")
_TABLES = (
    "bank",
    "idempotency_key",
    "master_key_seal",
    "subject_key",
    "user",
    "api_token",
    "request",
    "user_session",
    "bank_revision",
    "event",
    "fact",
    "recheck",
    "job",
    "ledger_entry",
    "request_fact",
    "audit_run",
    "audit_phase",
    "report",
)


def upgrade() -> None:
    """Make every table, then guard the event log."""
    for table in _TABLES:
        globals()[f"_create_{table}"]()
    if op.get_bind().dialect.name == "sqlite":
        _guard_events_sqlite()
    else:
        _guard_events_postgres()


def downgrade() -> None:
    """Drop everything, in the opposite order."""
    for table in reversed(_TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION event_is_append_only()")


def _guard_events_sqlite() -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_no_{verb.lower()} BEFORE {verb} ON event "
            "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
        )


def _guard_events_postgres() -> None:
    op.execute(
        "CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the event log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event "
        "FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only()"
    )


def _create_bank() -> None:
    op.create_table(
        "bank",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("writer", sa.String(length=100), nullable=True),
        sa.Column("writer_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_bank"),
        sa.UniqueConstraint("name", name="uq_bank_name"),
    )


def _create_idempotency_key() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("response_body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_idempotency_key"),
    )


def _create_master_key_seal() -> None:
    op.create_table(
        "master_key_seal",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_master_key_seal"),
    )


def _create_subject_key() -> None:
    op.create_table(
        "subject_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_subject_key"),
    )


def _create_user() -> None:
    op.create_table(
        "user",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_user"),
        sa.UniqueConstraint("email", name="uq_user_email"),
    )


def _create_api_token() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_api_token_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_token"),
        sa.UniqueConstraint("token_hash", name="uq_api_token_token_hash"),
    )
    op.create_index("ix_api_token_user_id", "api_token", ["user_id"])


def _create_request() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("bank_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("regulation", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("submitted_by", sa.String(length=40), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("duplicate_of", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["bank_id"], ["bank.id"], name="fk_request_bank_id"),
        sa.ForeignKeyConstraint(["duplicate_of"], ["request.id"], name="fk_request_duplicate_of"),
        sa.PrimaryKeyConstraint("id", name="pk_request"),
    )
    op.create_index("ix_request_state_due_at", "request", ["state", "due_at"])


def _create_user_session() -> None:
    op.create_table(
        "user_session",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name="fk_user_session_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id_hash", name="pk_user_session"),
    )
    op.create_index("ix_user_session_user_id", "user_session", ["user_id"])


def _create_bank_revision() -> None:
    op.create_table(
        "bank_revision",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("bank_id", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bank_id"], ["bank.id"], name="fk_bank_revision_bank_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_bank_revision_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bank_revision"),
        sa.UniqueConstraint("bank_id", "revision", name="uq_bank_revision_bank_id_revision"),
    )


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_event_request_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index("ix_event_request_id", "event", ["request_id"])


def _create_fact() -> None:
    op.create_table(
        "fact",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("bank_id", sa.String(length=40), nullable=False),
        sa.Column("subject_key_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("blind_index", sa.String(length=64), nullable=True),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_revision", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["bank_id"], ["bank.id"], name="fk_fact_bank_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_fact_request_id"),
        sa.ForeignKeyConstraint(["subject_key_id"], ["subject_key.id"], name="fk_fact_subject_key_id"),
        sa.PrimaryKeyConstraint("id", name="pk_fact"),
    )
    op.create_index("ix_fact_bank_id_blind_index", "fact", ["bank_id", "blind_index"])
    op.create_index("ix_fact_request_id", "fact", ["request_id"])
    op.create_index(
        "uq_fact_live",
        "fact",
        ["bank_id", "blind_index"],
        unique=True,
        sqlite_where=_LIVE_FACT,
        postgresql_where=_LIVE_FACT,
    )


def _create_recheck() -> None:
    op.create_table(
        "recheck",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("every_days", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_recheck_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recheck"),
    )
    op.create_index("ix_recheck_next_at", "recheck", ["next_at"])
    op.create_index("ix_recheck_request_id", "recheck", ["request_id"])


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("recheck_id", sa.String(length=40), nullable=True),
        sa.Column("bank_id", sa.String(length=40), nullable=False),
        sa.Column("fact_ids", sa.JSON(), nullable=False),
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("woken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=True),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("progress_done", sa.Integer(), nullable=False),
        sa.Column("progress_total", sa.Integer(), nullable=False),
        sa.Column("error_class", sa.String(length=100), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["bank_id"], ["bank.id"], name="fk_job_bank_id"),
        sa.ForeignKeyConstraint(["recheck_id"], ["recheck.id"], name="fk_job_recheck_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_job_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_recheck_id", "job", ["recheck_id"])
    op.create_index("ix_job_request_id", "job", ["request_id"])
    op.create_index("ix_job_state_queue", "job", ["state", "queue", "created_at"])


def _create_ledger_entry() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("fact_id", sa.String(length=40), nullable=False),
        sa.Column("bank_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["bank_id"], ["bank.id"], name="fk_ledger_entry_bank_id"),
        sa.ForeignKeyConstraint(["fact_id"], ["fact.id"], name="fk_ledger_entry_fact_id"),
        sa.PrimaryKeyConstraint("fact_id", name="pk_ledger_entry"),
    )
    op.create_index("ix_ledger_entry_bank_id", "ledger_entry", ["bank_id"])


def _create_request_fact() -> None:
    op.create_table(
        "request_fact",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("fact_id", sa.String(length=40), nullable=True),
        sa.Column("subject_key_id", sa.String(length=40), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["fact_id"], ["fact.id"], name="fk_request_fact_fact_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_request_fact_request_id"),
        sa.ForeignKeyConstraint(
            ["subject_key_id"], ["subject_key.id"], name="fk_request_fact_subject_key_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_request_fact"),
        sa.UniqueConstraint("request_id", "position", name="uq_request_fact_request_id_position"),
    )
    op.create_index("ix_request_fact_fact_id", "request_fact", ["fact_id"])


def _create_audit_run() -> None:
    op.create_table(
        "audit_run",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("recheck_id", sa.String(length=40), nullable=True),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("subject_key_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name="fk_audit_run_job_id"),
        sa.ForeignKeyConstraint(["recheck_id"], ["recheck.id"], name="fk_audit_run_recheck_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_audit_run_request_id"),
        sa.ForeignKeyConstraint(["subject_key_id"], ["subject_key.id"], name="fk_audit_run_subject_key_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_run"),
    )
    op.create_index("ix_audit_run_job_id", "audit_run", ["job_id"])
    op.create_index("ix_audit_run_request_id", "audit_run", ["request_id"])


def _create_audit_phase() -> None:
    op.create_table(
        "audit_phase",
        sa.Column("audit_run_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("transcript_ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["audit_run_id"], ["audit_run.id"], name="fk_audit_phase_audit_run_id"),
        sa.PrimaryKeyConstraint("audit_run_id", "name", name="pk_audit_phase"),
    )


def _create_report() -> None:
    op.create_table(
        "report",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("audit_run_id", sa.String(length=40), nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("json", sa.LargeBinary(), nullable=False),
        sa.Column("html_ciphertext", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["audit_run_id"], ["audit_run.id"], name="fk_report_audit_run_id"),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_report_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_report"),
        sa.UniqueConstraint("audit_run_id", name="uq_report_audit_run_id"),
    )
    op.create_index("ix_report_request_id", "report", ["request_id"])
