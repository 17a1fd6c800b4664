"""The legal clocks: until when a request must be answered.

GDPR Art. 12(3) with Regulation 1182/71: one calendar month from receipt; no such date in the next month means
its last day; a weekend or a public holiday (those that the operator lists) moves it to the next working day.
CCPA regulations section 7021: 45 calendar days from receipt, whatever verification takes. A period ends with the
last second of its last day (UTC).
"""

from __future__ import annotations

import calendar
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

CCPA_DAYS = 45
_SATURDAY = 5


def now() -> datetime:
    """The time now, aware, UTC: the only clock the store reads."""
    return datetime.now(UTC)


def add_month(day: date) -> date:
    """The same date one month later, or that month's last day if it has no such date."""
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def next_working_day(day: date, holidays: Collection[date] = ()) -> date:
    """`day` itself, or the first day after it that is neither weekend nor holiday."""
    while day.weekday() >= _SATURDAY or day in holidays:
        day += timedelta(days=1)
    return day


def due_at(regulation: str, received_at: datetime, holidays: Collection[date] = ()) -> datetime:
    """When the answer is due: the last second (UTC) of the last day. `other` runs like GDPR, the stricter
    clock.
    """
    received = received_at.astimezone(UTC).date()
    if regulation == "ccpa":
        last = received + timedelta(days=CCPA_DAYS)
    else:
        last = next_working_day(add_month(received), holidays)
    return datetime.combine(last, time(23, 59, 59), tzinfo=UTC)


def days_left(due: datetime, at: datetime) -> int:
    """Whole calendar days from `at` to the due date; 0 is today, negative is overdue."""
    return (due.astimezone(UTC).date() - at.astimezone(UTC).date()).days
