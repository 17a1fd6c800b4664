"""A throw-away Postgres database for tests, on the server at 127.0.0.1:5432 (or `UNWRITE_TEST_POSTGRES`)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

SERVER = os.environ.get("UNWRITE_TEST_POSTGRES", "postgres@127.0.0.1:5432")


@contextmanager
def throwaway_database() -> Iterator[str]:
    """The URL of a new, empty database that is dropped afterwards; skips where no server answers."""
    name = sql.Identifier(f"unwrite_test_{secrets.token_hex(6)}")
    try:
        admin = psycopg.connect(f"postgresql://{SERVER}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as error:
        pytest.skip(f"no Postgres at {SERVER}: {type(error).__name__}")
    with admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        admin.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
        try:
            yield f"postgresql+psycopg://{SERVER}/{name.as_string().strip(chr(34))}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    admin.close()
