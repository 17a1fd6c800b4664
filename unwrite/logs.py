"""Logs for every process: one line an event on stderr, with opaque ids and class names only.

Exception messages and tracebacks are left out on purpose: a database driver or a model may quote the text it
worked on, and a person's data must never reach a log. Set `UNWRITE_LOG_LEVEL` (default INFO).
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path

import structlog

from unwrite.setting_names import unknown
from unwrite.settings import SettingsError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
QUIET = (
    "celery",
    "kombu",
    "amqp",
    "transformers",
    "sentence_transformers",
    "httpx",
    "alembic",
    "urllib3",
    "faiss",
    "matplotlib",
    "flask-limiter",  # it logs addresses; web.security logs what it refuses
)


class ClassNameOnly(logging.Formatter):
    """Formats records of the standard library without their traceback: the exception's class must do."""

    def format(self, record: logging.LogRecord) -> str:
        """One line: time, level, logger, message (and the class of the exception, if any)."""
        line = f"{self.formatTime(record)} [{record.levelname.lower()}] {record.name}: {_message(record)}"
        return line.replace("\n", " ")


def _message(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0]:
        return f"{record.exc_info[0].__name__} in {record.module}.{record.funcName}"
    return record.getMessage()


def where(error: BaseException) -> str:
    """File and line that raised `error`: enough to find a fault, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"


def configure() -> None:
    """Set up structlog and the standard library for this process, and warn of settings that are misspelt.

    Raises SettingsError for a level that does not exist.
    """
    level = _level()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ClassNameOnly())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=False)
            if sys.stderr.isatty()
            else structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event")),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    for said in unknown(os.environ):
        structlog.get_logger().warning(said)


def _level() -> int:
    asked = os.environ.get("UNWRITE_LOG_LEVEL", "").upper() or "INFO"
    if asked not in LEVELS:
        raise SettingsError(f"UNWRITE_LOG_LEVEL is none of {', '.join(LEVELS)}; set it to one of them.")
    return logging.getLevelNamesMapping()[asked]
