"""At most one active re-check of a request.

Where a request has several, the one that was scheduled first stays and the others are deactivated, as if somebody
had cancelled them (without an event; a run of theirs that is queued still comes). Each of them ran the same audit
again, and each run counted as one more look.

Revision ID: 0004
Revises: 0003
"""

import json
from collections import defaultdict

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_RECHECK = sa.table(
    "recheck", sa.column("id", sa.String), sa.column("request_id", sa.String), sa.column("active", sa.Boolean)
)
_EVENT = sa.table(
    "event",
    sa.column("seq", sa.BigInteger),
    sa.column("request_id", sa.String),
    sa.column("kind", sa.String),
    sa.column("details", sa.LargeBinary),
)


def upgrade() -> None:
    """Deactivate the duplicates, then forbid them."""
    for request_id, rechecks in _active().items():
        for later in _by_age(request_id, rechecks)[1:]:
            op.execute(sa.update(_RECHECK).where(_RECHECK.c.id == later).values(active=False))
    op.create_index(
        "uq_recheck_active",
        "recheck",
        ["request_id"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )


def downgrade() -> None:
    """Allow several again; those that were deactivated stay so."""
    op.drop_index("uq_recheck_active", "recheck")


def _active() -> dict[str, list[str]]:
    """The ids of the active ones, by request."""
    found: dict[str, list[str]] = defaultdict(list)
    query = sa.select(_RECHECK.c.request_id, _RECHECK.c.id).where(_RECHECK.c.active.is_(True))
    for request_id, recheck_id in op.get_bind().execute(query.order_by(_RECHECK.c.id)):
        found[request_id].append(recheck_id)
    return found


def _by_age(request_id: str, rechecks: list[str]) -> list[str]:
    """Oldest first. A row does not say when it was made; the log does."""
    if len(rechecks) == 1:
        return rechecks
    mine = sa.select(_EVENT.c.details).where(_EVENT.c.request_id == request_id)
    told = op.get_bind().scalars(mine.where(_EVENT.c.kind == "recheck.scheduled").order_by(_EVENT.c.seq))
    places = {json.loads(details)["body"]["recheck"]: place for place, details in enumerate(told)}
    return sorted(rechecks, key=lambda recheck: places.get(recheck, len(places)))
