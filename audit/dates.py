"""Dates in the forms people write: «May 11, 1991», «11th of May 1991», «1991-05-11», «05/11/1991», «11.5.91».

A numeric date that can be read two ways is both, so that a detector leans towards calling a leak.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from audit.words import Word, words

MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
         "september sept sep", "october oct", "november nov", "december dec"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_NUMERIC = re.compile(r"(?<![\d/.-])(\d{1,4})([-/.])(\d{1,2})\2(\d{1,4})(?![\d/-]|\.\d)")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_YEAR = re.compile(r"\d{4}")


class Date(NamedTuple):
    """A day of a month, with its year when that was said."""

    year: int | None
    month: int
    day: int

    def same(self, other: "Date") -> bool:
        """Whether both can be the same day; a missing year agrees with any."""
        years_agree = self.year is None or other.year is None or self.year == other.year
        return years_agree and (self.month, self.day) == (other.month, other.day)


class Found(NamedTuple):
    """A date in a text: all readings, and its place."""

    readings: frozenset[Date]
    start: int
    end: int


def _valid(year: int | None, month: int, day: int) -> Iterator[Date]:
    if 1 <= month <= 12 and 1 <= day <= 31:
        yield Date(year, month, day)


def _years(text: str) -> list[int]:
    return [1900 + int(text), 2000 + int(text)] if len(text) <= 2 else [int(text)]


def _numeric_readings(first: str, middle: str, last: str) -> frozenset[Date]:
    readings: set[Date] = set()
    if len(first) == 4:
        readings.update(_valid(int(first), int(middle), int(last)))
    elif len(first) <= 2 and len(last) in (2, 4):
        for year in _years(last):
            readings.update(_valid(year, int(first), int(middle)))
            readings.update(_valid(year, int(middle), int(first)))
    return frozenset(readings)


def _numeric(text: str) -> Iterator[Found]:
    for match in _NUMERIC.finditer(text):
        first, _, middle, last = match.groups()
        readings = _numeric_readings(first, middle, last)
        if readings:
            yield Found(readings, match.start(), match.end())


def _day_number(word: Word) -> int | None:
    match = _DAY.fullmatch(word.text)
    return int(match[1]) if match else None


def _named(text: str) -> Iterator[Found]:
    plain = [word for word in words(text) if word.text not in ("of", "the")]
    for index, word in enumerate(plain):
        month = MONTHS.get(word.text)
        if month is None:
            continue
        before = _day_number(plain[index - 1]) if index else None
        after = _day_number(plain[index + 1]) if index + 1 < len(plain) else None
        day, first, last = (before, index - 1, index) if before else (after, index, index + 1)
        if not day:
            continue
        year = None
        if last + 1 < len(plain) and _YEAR.fullmatch(plain[last + 1].text):
            last += 1
            year = int(plain[last].text)
        readings = frozenset(_valid(year, month, day))
        if readings:
            yield Found(readings, plain[first].start, plain[last].end)


def find_dates(text: str) -> list[Found]:
    """All dates in a text, numeric ones first."""
    return [*_numeric(text), *_named(text)]


def as_date(text: str) -> frozenset[Date]:
    """The readings of a text that is a date and nothing else; empty when it is not."""
    stripped = text.strip().strip(".,;")
    offset = text.find(stripped)
    for found in find_dates(text):
        if found.start <= offset and found.end >= offset + len(stripped):
            return found.readings
    return frozenset()
