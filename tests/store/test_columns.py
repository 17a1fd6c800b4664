"""Times are aware UTC, in and out."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from store import ledger
from store.database import Database
from store.models import Bank


def test_a_time_of_any_zone_comes_back_as_the_same_moment_in_utc(database: Database) -> None:
    moment = datetime(2026, 11, 23, 23, 30, 1, 250000, tzinfo=timezone(timedelta(hours=-5)))
    with database.session() as session:
        ledger.bank(session, "default").updated_at = moment
    with database.session(read_only=True) as session:
        back = session.scalars(sa.select(Bank.updated_at)).one()
        assert session.scalars(sa.select(Bank.name).where(Bank.updated_at == moment)).one() == "default"
    assert back == moment
    assert back.tzinfo == UTC


def test_a_naive_time_is_refused(database: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="time zone"), database.session() as session:
        ledger.bank(session, "default").updated_at = datetime(2026, 11, 23)
