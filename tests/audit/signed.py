"""A signed certificate over a made-up report, at the end of a made-up log: what the tests of certificates share."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from audit import certificate, merkle
from audit.envelope import canonical
from audit.keys import KeyRing
from audit.log import NO_ENTRY, Entry, LogProof
from audit.merkle import Frontier
from audit.report import Report
from audit.statement import digest, salted_lines, salted_page, statement
from tests.audit.fakes import NOW, report

DAY = timedelta(days=1)


def entry(index: int, prev: str, kind: str, body: dict[str, str], at: datetime = NOW) -> Entry:
    """An entry in the form in which the store writes them."""
    salt, details = hashlib.sha256(b"%d" % index).digest()[:16], canonical({"actor": "worker", "body": body})
    record = {
        "at": at.isoformat(),
        "details": hmac.new(salt, details, hashlib.sha256).hexdigest(),
        "kind": kind,
        "prev": prev,
        "request": None,
        "seq": index + 1,
        "v": 1,
    }
    return Entry(canonical(record), details, salt)


@cache
def made_report() -> Report:
    return report("forget", 3)[0]


@dataclass
class Log:
    """A log that grows."""

    leaves: list[bytes] = field(default_factory=list)

    def append(self, kind: str, body: dict[str, str], at: datetime = NOW) -> Entry:
        prev = self.leaves[-1].hex() if self.leaves else NO_ENTRY
        made = entry(len(self.leaves), prev, kind, body, at)
        self.leaves.append(made.leaf)
        return made

    def proof(self, made: Entry, ring: KeyRing, at: datetime = NOW) -> LogProof:
        before = Frontier().extend(self.leaves[:-1])
        return LogProof.of_last(made, before, at, ring.signer(at)[1])


@dataclass
class Signed:
    """The files that a holder of a certificate has, and the ring that signed them."""

    ring: KeyRing
    files: dict[str, bytes]
    certificate: bytes
    log: Log


def signed(folder: Path, *, at: datetime = NOW, ring: KeyRing | None = None) -> Signed:
    """Sign a report with a key that is valid from NOW on, as entry 6 of a log."""
    if ring is None:
        ring = KeyRing(folder / "keys")
        ring.new(NOW, days=30)
    made, log = made_report(), Log()
    files = {
        "report.json": made.to_json(),
        "report.html": salted_page(made.to_html()),
        "transcript-after.jsonl": salted_lines(b'{"output": "unknown"}\n'),
    }
    payload = statement(
        made, report_id="rep_a", files={name: digest(data) for name, data in files.items()}, issued_at=at
    )
    for number in range(5):
        log.append("something", {"number": str(number)}, at)
    logged = log.append(certificate.ENTRY_KIND, {certificate.NAMED: digest(payload)}, at)
    written = certificate.write(payload, log.proof(logged, ring, at), ring.signer(at)[1])
    assert merkle.root(log.leaves)
    return Signed(ring, files, written, log)
