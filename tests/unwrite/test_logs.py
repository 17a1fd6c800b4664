"""Logs name the class of an error, never its text."""

import logging

import pytest

from unwrite.logs import ClassNameOnly, configure, where


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
    assert where(raised()) == "test_logs.py:12"


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_limiter_logs_no_address_of_a_client(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str
) -> None:
    monkeypatch.setenv("UNWRITE_LOG_LEVEL", level)
    configure()
    logging.getLogger("flask-limiter").info("ratelimit %s (%s) exceeded", "10 per 1 minute", "203.0.113.9")
    assert "203.0.113.9" not in capsys.readouterr().err
