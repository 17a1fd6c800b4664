"""Logs name the class of an error, never its text."""

import logging

from unwrite.logs import ClassNameOnly, where


def raised() -> ValueError:
    try:
        raise ValueError("the mother tongue of Canary Subject")
    except ValueError as error:
        return error


def test_a_traceback_is_reduced_to_the_class() -> None:
    error = raised()
    exc_info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("celery", logging.ERROR, "x.py", 1, "failed: %s", (error,), exc_info)
    line = ClassNameOnly().format(record)
    assert "ValueError" in line
    assert "Canary" not in line


def test_where_points_to_the_line_that_raised() -> None:
    assert where(raised()) == "test_logs.py:10"
