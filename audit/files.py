"""Files that are there whole or not at all: a full disk or a crash leaves the old one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.errors import FilesUnusable


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write beside the place, flush to the disk, then rename. Raises OSError and leaves nothing behind."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def of_audit(place: Path) -> Iterator[None]:
    """Turn what the system refuses in a file or folder of an audit into FilesUnusable."""
    try:
        yield
    except OSError as error:
        raise FilesUnusable(
            f"{place} cannot be written or read ({error.strerror}). Samples so far are kept: make room there, or the "
            "right to write, and run the same command again; it goes on where it stopped"
        ) from error
