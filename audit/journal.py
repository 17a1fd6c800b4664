"""The record of samples as they come: append-only JSON lines, each with a digest that hangs on all before it.

    digest of line i = SHA-256(digest of line i-1, line i without its digest)

An audit that is stopped goes on where it was: whole batches are read back, a torn end is cut off and asked
again, so that no sample is lost and none is counted twice. A line that was changed, dropped or added in the
middle does not fit its digest. The digest of the last line goes into the report, which fixes the end as well; that
line is a random salt, so that nobody can guess a text and try the guess against the digest.
Sections (one a phase and attack) follow each other in one chain.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from audit.errors import AnotherAudit, TranscriptTampered
from audit.files import of_audit

START = hashlib.sha256(b"").hexdigest()
_BEGIN, _END = "begin", "end"


class SampleLog(Protocol):
    """Where the bytes lie: a file, or encrypted rows of a database."""

    def read(self) -> bytes:
        """Everything that was appended."""
        ...

    def append(self, data: bytes) -> None:
        """Add to the end, durably."""
        ...

    def cut(self, size: int) -> None:
        """Drop everything behind `size` bytes."""
        ...


class FileLog:
    """A plain file, readable by its owner only; every append is on the disk before it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> bytes:
        """The file's bytes; nothing when there is no file yet. Raises FilesUnusable."""
        with of_audit(self.path):
            return self.path.read_bytes() if self.path.exists() else b""

    def append(self, data: bytes) -> None:
        """Write and sync. Raises FilesUnusable when the disk does not take it; what was written stays."""
        with of_audit(self.path):
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())

    def cut(self, size: int) -> None:
        """Truncate the file. Raises FilesUnusable."""
        with of_audit(self.path):
            os.truncate(self.path, size)


class MemoryLog:
    """For audits that need not survive their process, and for tests."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def read(self) -> bytes:
        """The bytes so far."""
        return self.data

    def append(self, data: bytes) -> None:
        """Add to the end."""
        self.data += data

    def cut(self, size: int) -> None:
        """Drop the end."""
        self.data = self.data[:size]


def _canonical(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _is_mark(line: Mapping[str, Any]) -> bool:
    return _BEGIN in line or _END in line


def chained(previous: str, line: Mapping[str, Any]) -> str:
    """The digest (hex) of a line behind a line with digest `previous`."""
    return hashlib.sha256(bytes.fromhex(previous) + _canonical(line)).hexdigest()


def read_chain(data: bytes) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Each line without its digest, its digest, and where it ends; a torn last line is left out.

    Raises TranscriptTampered at the first line that does not fit.
    """
    head, at = START, 0
    for number, raw in enumerate(data.split(b"\n")[:-1], start=1):
        at += len(raw) + 1
        try:
            line = json.loads(raw)
            digest = line.pop("digest")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise TranscriptTampered(f"line {number} of the samples is not one that an audit wrote") from None
        if digest != chained(head, line):
            raise TranscriptTampered(
                f"line {number} of the samples was changed, or a line before it is missing"
            )
        head = digest
        yield line, digest, at


class Journal:
    """Replays what is there, then appends. `head`: the digest of the last line that was read or written."""

    def __init__(self, log: SampleLog) -> None:
        """Read the log. Raises TranscriptTampered."""
        self._log = log
        data = log.read()
        self._old = list(read_chain(data))
        self._next, self.head, self._end = 0, START, 0
        whole = self._old[-1][2] if self._old else 0
        if whole < len(data):
            log.cut(whole)

    def begin(self, header: Mapping[str, Any]) -> None:
        """Start a section, or take it up again. Raises AnotherAudit when another one stands here."""
        line = {_BEGIN: dict(header)}
        if self._next == len(self._old):
            self._write([line])
        elif _canonical(self._old[self._next][0]) == _canonical(line):
            self._step(1)
        else:
            raise AnotherAudit(
                "the samples that are here belong to another audit (other facts, attacks, seed, settings or "
                "target); use another output folder"
            )

    def replay(self, count: int) -> list[dict[str, Any]] | None:
        """The next `count` samples if all of them are here; else None, and an incomplete batch is cut off."""
        there = [line for line, _, _ in self._old[self._next : self._next + count]]
        if len(there) == count and not any(map(_is_mark, there)):
            self._step(count)
            return there
        if any(map(_is_mark, there)):
            raise TranscriptTampered("samples are missing in the middle of the record")
        if self._next < len(self._old):
            del self._old[self._next :]
            self._log.cut(self._end)
        return None

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add one batch of samples, durably."""
        self._write(lines)

    def close(self) -> str:
        """End the record with a salt, unless it is ended already; returns the digest of everything.

        Raises AnotherAudit, and changes nothing, when samples stand here that this audit did not take up.
        """
        rest = self._old[self._next :]
        if not rest:
            self._write([{_END: {"salt": secrets.token_hex(16)}}])
        elif len(rest) == 1 and _END in rest[0][0]:
            self._step(1)
        else:
            raise AnotherAudit(
                "the samples that are here go on with attacks that this audit does not have; name the same attacks "
                "as before, or use another output folder"
            )
        return self.head

    def _step(self, count: int) -> None:
        self._next += count
        _, self.head, self._end = self._old[self._next - 1]

    def _write(self, lines: Sequence[Mapping[str, Any]]) -> None:
        head, data = self.head, b""
        for line in lines:
            head = chained(head, line)
            data += json.dumps({**line, "digest": head}, ensure_ascii=False).encode() + b"\n"
        self._log.append(data)
        self.head, self._end = head, self._end + len(data)
