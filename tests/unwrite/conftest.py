"""Commands set up logging for their process; tests put it back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

SETTINGS = ("DATABASE_URL", "BROKER_URL", "MASTER_KEY", "MASTER_KEY_FILE", "CHECKPOINT", "LEASE_S")


@pytest.fixture(autouse=True)
def _own_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in SETTINGS:
        monkeypatch.delenv(f"UNWRITE_{name}", raising=False)
    monkeypatch.setenv("UNWRITE_HOME", str(tmp_path / "home"))
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
