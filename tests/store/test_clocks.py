"""The legal clocks against worked examples."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import clocks


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2025-03-05T10:00", "2025-04-07"),  # 5 March -> 5 April, a Saturday -> Monday
        ("2026-08-31T23:59", "2026-09-30"),  # no 31 September: its last day, a Wednesday
        ("2027-01-31T08:00", "2027-03-01"),  # 28 February 2027 is a Sunday -> Monday
        ("2028-01-30T08:00", "2028-02-29"),  # leap year
        ("2026-12-15T00:00", "2027-01-15"),  # over the new year
        ("2026-09-03T12:00", "2026-10-05"),  # 3 October 2026 is a Saturday -> Monday
        ("2026-11-23T12:00", "2026-12-23"),
    ],
)
def test_gdpr_is_one_calendar_month_clamped_and_rolled_over_weekends(received: str, due: str) -> None:
    assert clocks.due_at("gdpr", at(received)) == at(due + "T23:59:59")


def test_gdpr_rolls_over_holidays_that_are_given() -> None:
    easter_monday = date(2026, 4, 6)
    assert clocks.due_at("gdpr", at("2026-03-05T10:00"), [easter_monday]) == at("2026-04-07T23:59:59")


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-01-01T10:00", "2026-02-15"),
        ("2026-11-23T10:00", "2027-01-07"),
        ("2028-02-01T10:00", "2028-03-17"),
    ],
)
def test_ccpa_is_45_calendar_days_weekend_or_not(received: str, due: str) -> None:
    assert clocks.due_at("ccpa", at(received)) == at(due + "T23:59:59")


def test_the_day_of_receipt_is_the_day_in_utc() -> None:
    late_in_new_york = datetime(2026, 1, 1, 22, 0, tzinfo=timezone(timedelta(hours=-5)))
    assert clocks.due_at("ccpa", late_in_new_york) == clocks.due_at("ccpa", at("2026-01-02T03:00"))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_gdpr_answer_is_due_on_a_working_day_28_to_33_days_later(received: datetime) -> None:
    due = clocks.due_at("gdpr", received)
    assert due.weekday() < 5
    assert 28 <= (due.date() - received.date()).days <= 33


def test_days_left_counts_calendar_days_and_goes_below_zero() -> None:
    due = at("2026-12-23T23:59:59")
    assert clocks.days_left(due, at("2026-12-23T00:00")) == 0
    assert clocks.days_left(due, at("2026-12-01T23:00")) == 22
    assert clocks.days_left(due, at("2026-12-25T01:00")) == -2
