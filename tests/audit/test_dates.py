"""The same day in other forms is the same day."""

import pytest

from audit.dates import Date, as_date, find_dates

MAY = Date(1991, 5, 11)


@pytest.mark.parametrize(
    "text",
    ["May 11, 1991", "11 May 1991", "11th of May 1991", "the 11th of May, 1991", "1991-05-11", "11/05/1991",
     "05/11/1991", "11.5.1991", "11.5.91", "may eleventh 1991", "MAY 11 1991."],
)  # fmt: skip
def test_forms_of_one_day(text: str) -> None:
    readings = as_date(text) or find_dates(text)[0].readings
    assert any(reading.same(MAY) for reading in readings)


@pytest.mark.parametrize("text", ["May 1991", "11", "in May", "version 1.2.3", "31/31/1991", "1991"])
def test_what_is_no_day(text: str) -> None:
    assert find_dates(text) == []


def test_a_date_inside_a_sentence_is_found_but_the_sentence_is_no_date() -> None:
    found = find_dates("She was born on May 11, 1991 in Taipei.")
    assert [f.readings for f in found] == [frozenset({MAY})]
    assert not as_date("born on May 11, 1991")


def test_a_missing_year_agrees_with_any() -> None:
    assert Date(None, 5, 11).same(MAY)
    assert not Date(1990, 5, 11).same(MAY)
