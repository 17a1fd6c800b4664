"""Audits in batches, and answers that can be looked for without being kept.

`audit_batch` holds the samples of a phase that is not finished; `request_fact` learns the blind digests of an
answer that was destroyed, and the salt of their key.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the two columns."""
    op.create_table(
        "audit_batch",
        sa.Column("audit_run_id", sa.String(40), nullable=False),
        sa.Column("step", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["audit_run_id"], ["audit_run.id"], name="fk_audit_batch_audit_run_id_audit_run"
        ),
        sa.PrimaryKeyConstraint("audit_run_id", "step", "number", name="pk_audit_batch"),
    )
    op.add_column("request_fact", sa.Column("blind_salt", sa.LargeBinary(), nullable=True))
    op.add_column("request_fact", sa.Column("blind_ciphertext", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("audit_phase") as table:
        table.alter_column("name", existing_type=sa.String(32), type_=sa.String(64), existing_nullable=False)


def downgrade() -> None:
    """Without them; what the batches of unfinished phases held is asked again."""
    with op.batch_alter_table("audit_phase") as table:
        table.alter_column("name", existing_type=sa.String(64), type_=sa.String(32), existing_nullable=False)
    op.drop_column("request_fact", "blind_ciphertext")
    op.drop_column("request_fact", "blind_salt")
    op.drop_table("audit_batch")
