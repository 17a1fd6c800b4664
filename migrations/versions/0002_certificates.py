"""Certificates: the event log becomes a hash chain; tables for its head, signed tree heads and certificates.

The events that are there are chained in their order, from place 1 on. The form of a record is spelled out here
once more, because a migration must go on doing what it did.

Revision ID: 0002
Revises: 0001
"""

import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OLD_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Chain the events; make the tables beside them."""
    rows = _old_rows()
    op.drop_table("event")
    _create_event()
    _create_log_head()
    _create_certificate()
    _create_tree_head()
    chained, head = _chained(rows)
    if chained:
        op.bulk_insert(_new_event(), chained)
    op.bulk_insert(_log_head(), [head])
    _guard_events()


def downgrade() -> None:
    """Back to events without a chain; certificates and tree heads are lost."""
    table = _new_event()
    rows = [
        {
            "request_id": row.request_id,
            "kind": row.kind,
            "at": datetime.fromisoformat(json.loads(row.record)["at"]),
        }
        | json.loads(row.details)
        for row in op.get_bind().execute(sa.select(table).order_by(table.c.seq))
    ]
    for name in ("certificate", "tree_head", "log_head", "event"):
        op.drop_table(name)
    _create_old_event()
    if rows:
        op.bulk_insert(_old_event(), rows)
    _guard_events()


def _old_rows() -> list[Any]:
    table = _old_event()
    query = sa.select(table.c.request_id, table.c.kind, table.c.actor, table.c.body, table.c.at)
    return list(op.get_bind().execute(query.order_by(table.c.seq)))


def _chained(rows: list[Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    made, previous, last = [], bytes(32), None
    for seq, row in enumerate(rows, start=1):
        at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
        last = at.astimezone(UTC) if last is None else max(last, at.astimezone(UTC))
        details, salt = _canonical({"actor": row.actor, "body": row.body}), os.urandom(16)
        record = _canonical(
            {
                "at": last.isoformat(),
                "details": hmac.new(salt, details, hashlib.sha256).hexdigest(),
                "kind": row.kind,
                "prev": previous.hex(),
                "request": row.request_id,
                "seq": seq,
                "v": 1,
            }
        )
        own = hashlib.sha256(b"\x00" + record).digest()
        made.append(
            {
                "seq": seq, "request_id": row.request_id, "kind": row.kind, "record": record,
                "details": details, "salt": salt, "prev_hash": previous, "hash": own,
            }
        )  # fmt: skip
        previous = own
    return made, {"id": 1, "size": len(made), "hash": previous, "at": last}


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _old_event() -> sa.TableClause:
    return sa.table(
        "event",
        sa.column("seq", _OLD_SEQ),
        sa.column("request_id", sa.String),
        sa.column("kind", sa.String),
        sa.column("actor", sa.String),
        sa.column("body", sa.JSON),
        sa.column("at", sa.DateTime(timezone=True)),
    )


def _new_event() -> sa.TableClause:
    return sa.table(
        "event",
        sa.column("seq", sa.BigInteger),
        sa.column("request_id", sa.String),
        sa.column("kind", sa.String),
        *(sa.column(name, sa.LargeBinary) for name in ("record", "details", "salt", "prev_hash", "hash")),
    )


def _log_head() -> sa.TableClause:
    return sa.table(
        "log_head",
        sa.column("id", sa.Integer),
        sa.column("size", sa.BigInteger),
        sa.column("hash", sa.LargeBinary),
        sa.column("at", sa.DateTime(timezone=True)),
    )


def _create_event() -> None:
    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_event_request_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
        sa.UniqueConstraint("prev_hash", name="uq_event_prev_hash"),
    )
    op.create_index("ix_event_request_id", "event", ["request_id"])


def _create_old_event() -> None:
    op.create_table(
        "event",
        sa.Column("seq", _OLD_SEQ, autoincrement=True, nullable=False),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.id"], name="fk_event_request_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index("ix_event_request_id", "event", ["request_id"])


def _create_log_head() -> None:
    op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
    )


def _create_certificate() -> None:
    op.create_table(
        "certificate",
        sa.Column("report_id", sa.String(length=40), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["report.id"], name="fk_certificate_report_id"),
        sa.PrimaryKeyConstraint("report_id", name="pk_certificate"),
        sa.UniqueConstraint("seq", name="uq_certificate_seq"),
    )


def _create_tree_head() -> None:
    op.create_table(
        "tree_head",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_tree_head"),
    )


def _guard_events() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER event_no_{verb.lower()} BEFORE {verb} ON event "
                "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON event "
            "FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only()"
        )
