"""`unwrite log check`: walks everything that is signed or chained and tells what does not fit.

events -> head of the log -> signed tree heads -> certificates -> the files that they name. One flipped byte in any of
them is found. What only an outsider can notice (the whole database exchanged, the log cut off behind the newest
certificate) is found by checking against certificates that were handed out: give their files.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from audit.certificate import ENTRY_KIND, NAMED, Certificate
from audit.errors import CertificateInvalid
from audit.keys import TrustedKey
from audit.log import TreeHead, moment
from audit.merkle import Frontier, leaf_hash
from audit.statement import digest
from audit.verification import verify
from store import audits, certificates, models
from store.errors import StoreError
from store.log import NO_EVENT
from store.models import Event, LogHead
from store.vault import Vault
from workers.certificate import files_of

PORTION = 1000
BEGINNING = datetime.min.replace(tzinfo=UTC)
DESTROYED = frozenset({"request.texts_destroyed", "request.answers_destroyed"})


@dataclass
class Walk:
    """What was seen on the way through the events."""

    found: list[str] = field(default_factory=list)
    size: int = 0
    hash: bytes = NO_EVENT
    at: datetime = BEGINNING
    roots: dict[int, str] = field(default_factory=dict)
    entries: dict[int, bytes] = field(default_factory=dict)
    issued: dict[str, str] = field(default_factory=dict)
    destroyed: dict[str, int] = field(default_factory=dict)
    """the last place at which texts of a request were destroyed: what was signed later must be whole"""


@dataclass(frozen=True)
class Outcome:
    """What does not fit, in words (no personal data), and how much was looked at."""

    found: Sequence[str]
    events: int
    certificates: int
    unsigned: int


def check(
    session: Session, vault: Vault, keys: Sequence[TrustedKey], outside: Mapping[str, bytes] | None = None
) -> Outcome:
    """Walk everything; `outside`: certificates that were handed out, by path."""
    heads, kept = certificates.heads(session), certificates.signed_reports(session)
    given = {name: _readable(data) for name, data in (outside or {}).items()}
    sizes = {head.size for head in heads} | {one.proof.index + 1 for one in given.values() if one}
    walk = _walk(_events(session), sizes)
    found = [*walk.found, *_head(session, walk)]
    for head in heads:
        found += _tree_head(head, keys, walk)
    for row in kept:
        found += _certificate(session, vault, row, keys, walk)
    found += _missing(session, walk, {row.report_id for row in kept})
    for name, certificate in given.items():
        found += _outside(name, certificate, keys, walk)
    return Outcome(found, walk.size, len(kept), len(certificates.unsigned_reports(session)))


def _events(session: Session) -> Iterator[Event]:
    after: int | None = None
    while True:
        query = sa.select(Event).order_by(Event.seq).limit(PORTION)
        rows = list(session.scalars(query if after is None else query.where(Event.seq > after)))
        yield from rows
        if len(rows) < PORTION:
            return
        after = rows[-1].seq
        session.expunge_all()


def _walk(rows: Iterable[Event], sizes: set[int]) -> Walk:
    walk, tree = Walk(), Frontier()
    for event in rows:
        walk.size += 1
        walk.found += [f"event {event.seq}: {problem}" for problem in _event(event, walk)]
        walk.hash = leaf_hash(event.record)
        tree = tree.append(walk.hash)
        if walk.size in sizes:
            walk.roots[walk.size], walk.entries[walk.size] = tree.root.hex(), event.record
        _remember(event, walk)
    return walk


def _event(event: Event, walk: Walk) -> Iterator[str]:
    if event.seq != walk.size:
        yield f"it should have the place {walk.size}"
    if event.hash != leaf_hash(event.record):
        yield "its record was changed"
    try:
        said = json.loads(event.record)
        linked = bytes.fromhex(said["prev"])
        columns = (said["seq"], said["kind"], said["request"])
        details, at = said["details"], moment(said["at"], "its time cannot be read")
    except (ValueError, KeyError, TypeError, CertificateInvalid):
        yield "its record cannot be read"
        return
    if not linked == event.prev_hash == walk.hash:
        yield "it does not name the event before it"
    if at < walk.at:
        yield "it is dated before the event before it"
    walk.at = max(walk.at, at)
    if columns != (event.seq, event.kind, event.request_id):
        yield "its columns say something else than its record"
    if hmac.new(event.salt, event.details, hashlib.sha256).hexdigest() != details:
        yield "its details were changed"


def _remember(event: Event, walk: Walk) -> None:
    if event.kind in DESTROYED and event.request_id:
        walk.destroyed[event.request_id] = event.seq
    if event.kind == ENTRY_KIND:
        try:
            walk.issued[str(event.body["report"])] = str(event.body[NAMED])
        except (ValueError, KeyError, TypeError):
            walk.found.append(f"event {event.seq}: it does not name a certificate")


def _head(session: Session, walk: Walk) -> Iterator[str]:
    head = session.get(LogHead, 1)
    if head is None or (head.size, head.hash) != (walk.size, walk.hash):
        yield "the log's head does not fit its last event"


def _tree_head(row: models.TreeHead, keys: Sequence[TrustedKey], walk: Walk) -> Iterator[str]:
    try:
        head = TreeHead.verified(json.loads(row.envelope), keys)
        if (head.size, head.root) != (row.size, walk.roots.get(row.size)):
            yield f"tree head {row.size}: the log has another root there: events were changed or taken out"
        if Frontier.from_bytes(row.size, row.frontier).root.hex() != head.root:
            yield f"tree head {row.size}: its inner nodes were changed"
    except (ValueError, CertificateInvalid) as error:
        yield f"tree head {row.size}: {error}"


def _certificate(
    session: Session, vault: Vault, row: models.Certificate, keys: Sequence[TrustedKey], walk: Walk
) -> Iterator[str]:
    name = f"certificate of {row.report_id}"
    try:
        report = audits.report(session, row.report_id)
        files = files_of(session, vault, report)
    except StoreError as error:
        yield f"report {row.report_id}: {error}"
        return
    checked = verify(row.envelope, keys, files)
    for one in checked.checks:
        if one.ok is False:
            yield f"{name}: {one.name}: {one.said}"
        elif one.ok is None and one.name != "figures" and walk.destroyed.get(report.request_id, 0) < row.seq:
            yield f"{name}: {one.name} is gone, and no event says that it was destroyed"
    certificate = _readable(row.envelope)
    if certificate is not None:
        yield from _placed(name, certificate, keys, walk)
        if row.seq != certificate.proof.index + 1 or row.key_id != _signer(certificate):
            yield f"{name}: its columns say something else than it does"
        if walk.issued.get(row.report_id) != digest(certificate.payload):
            yield f"{name}: the log names another one for this report"


def _signer(certificate: Certificate) -> str:
    try:
        return str(certificate.document["signatures"][0]["keyid"])
    except (IndexError, KeyError, TypeError):
        return ""


def _placed(name: str, certificate: Certificate, keys: Sequence[TrustedKey], walk: Walk) -> Iterator[str]:
    """Whether the log of today still has the certificate's entry, and the root that it carries if that one holds."""
    place = certificate.proof.index + 1
    if walk.entries.get(place) != certificate.proof.entry.record:
        yield f"{name}: the log has another entry at its place, or none"
    with suppress(CertificateInvalid):  # told by whoever verifies it
        head = certificate.check_log(keys)
        if walk.roots.get(head.size) != head.root:
            yield f"{name}: the log is not the one that it was entered into"


def _missing(session: Session, walk: Walk, kept: set[str]) -> Iterator[str]:
    present = set(session.scalars(sa.select(models.Report.id)))
    for report_id in sorted(set(walk.issued) - kept):
        if report_id in present:
            yield f"report {report_id}: the log says that it was signed, but the certificate is gone"


def _outside(
    name: str, certificate: Certificate | None, keys: Sequence[TrustedKey], walk: Walk
) -> Iterator[str]:
    if certificate is None:
        yield f"{name}: it is no certificate"
        return
    try:
        certificate.check_signature(keys)
        certificate.check_log(keys)
    except CertificateInvalid as error:
        yield f"{name}: {error}"
        return
    yield from _placed(name, certificate, keys, walk)


def _readable(data: bytes) -> Certificate | None:
    try:
        return Certificate.read(data)
    except CertificateInvalid:
        return None
