"""Cursor pages: a cursor is the sort key of the last row, in base64; it stays right while rows are added."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.errors import InvalidInput

MAX_PAGE = 200
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some rows, and where the next page starts (None: this was the last)."""

    items: tuple[Item, ...]
    next_cursor: str | None


def fetch(
    session: Session,
    query: sa.Select[Item],
    moment: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[str],
    *,
    limit: int,
    cursor: str | None,
    descending: bool,
    ahead: InstrumentedAttribute[bool] | None = None,
) -> Page[Item]:
    """One page of `query`, sorted by (moment, row_id), from just after `cursor`. Rows for which `ahead` is true come
    before all others.
    """
    if cursor is not None:
        query = query.where(_after(cursor, moment, row_id, descending, ahead))
    columns: list[Any] = [moment, row_id]
    order = [column.desc() if descending else column.asc() for column in columns]
    query = query.order_by(*([] if ahead is None else [ahead.desc()]), *order)
    size = page_size(limit)
    found = list(session.scalars(query.limit(size + 1)))
    if len(found) <= size:
        return Page(tuple(found), None)
    final: Any = found[size - 1]
    group = "" if ahead is None else f"{int(getattr(final, ahead.key))}|"
    place = encode_cursor(getattr(final, moment.key), f"{group}{getattr(final, row_id.key)}")
    return Page(tuple(found[:size]), place)


def page_size(limit: int) -> int:
    """How many rows a page holds when `limit` was asked for."""
    return max(1, min(limit, MAX_PAGE))


def encode_cursor(at: datetime, row_id: str) -> str:
    """A cursor for the row with this sort key."""
    key = f"{at.astimezone(UTC).isoformat()}|{row_id}"
    return _encode(key)


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """The sort key behind a cursor; `InvalidInput` for anything else."""
    try:
        at, row_id = _decode(cursor).split("|", 1)
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC), row_id
    except (ValueError, OverflowError):  # OverflowError: the first or last day, in another time zone
        raise _unreadable() from None


def encode_place(seq: int) -> str:
    """A cursor for the event at this place of the log."""
    return _encode(str(seq))


def decode_place(cursor: str) -> int:
    """The place behind a cursor; `InvalidInput` for anything else."""
    try:
        raw = _decode(cursor)
        if not (raw.isascii() and raw.isdecimal() and len(raw) < 19):  # 18 digits fit into a BIGINT
            raise ValueError("no place")
        return int(raw)
    except ValueError:
        raise _unreadable() from None


def _after(
    cursor: str,
    moment: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[str],
    descending: bool,
    ahead: InstrumentedAttribute[bool] | None,
) -> sa.ColumnElement[bool]:
    at, last = decode_cursor(cursor)
    group = ""
    if ahead is not None:
        group, _, last = last.rpartition("|")
        if group not in {"0", "1"}:
            raise _unreadable()
    beyond = moment < at if descending else moment > at
    tied = row_id < last if descending else row_id > last
    after = sa.or_(beyond, sa.and_(moment == at, tied))
    if ahead is None:
        return after
    within = sa.and_(ahead.is_(group == "1"), after)
    return sa.or_(within, ahead.is_(False)) if group == "1" else within


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode("ascii").rstrip("=")


def _decode(cursor: str) -> str:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def _unreadable() -> InvalidInput:
    return InvalidInput("This page cursor cannot be read. Start from the first page.", field="cursor")
