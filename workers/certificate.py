"""Signs a report: statement, log entry, tree head and certificate, in the transaction that is open.

The entry of the certificate is the newest of the log while it is signed, so its proof needs no more than the
frontier of the tree before it. The log stays locked until the transaction ends: sign last.
"""

from __future__ import annotations

import json

import structlog
from sqlalchemy.orm import Session

from audit import certificate
from audit.envelope import canonical, unpack
from audit.errors import CertificateInvalid, KeyProblem
from audit.keys import KeyRing
from audit.log import HEAD_TYPE, Entry, LogProof
from audit.merkle import Frontier
from audit.report import Report, validate
from audit.statement import digest, statement
from store import audits, certificates, events, log, models
from store.certificates import Signed
from store.vault import Vault

REFUSED = "certificate.missing"
logger = structlog.get_logger()


def sign_report(session: Session, vault: Vault, ring: KeyRing, row: models.Report, *, actor: str) -> bool:
    """Sign a stored report and keep the certificate. Without a key that can sign: False, and an event.

    A report is never held up by a missing key; `unwrite certify` signs it later.
    """
    if certificates.of_report(session, row.id) is not None:
        return True
    files = files_of(session, vault, row)
    try:
        signed = issue(
            session,
            ring,
            validate(row.json),
            report_id=row.id,
            files={name: digest(data) for name, data in files.items()},
            request_id=row.request_id,
            actor=actor,
        )
    except KeyProblem:
        logger.warning("report not signed: no key can sign; see unwrite keys list", report=row.id)
        events.append(session, REFUSED, actor=actor, request_id=row.request_id, body={"report": row.id})
        return False
    certificates.save(session, row.id, signed)
    return True


def files_of(session: Session, vault: Vault, row: models.Report) -> dict[str, bytes]:
    """What a certificate speaks of, by file name; only the JSON once the texts were destroyed."""
    found = {"report.json": row.json}
    html = audits.report_html(session, vault, row.id)
    if html is None:
        return found
    found["report.html"] = html
    lines = audits.transcripts(session, vault, row.audit_run_id)
    return found | {f"transcript-{name}.jsonl": data for name, data in lines.items()}


def issue(
    session: Session,
    ring: KeyRing,
    report: Report,
    *,
    report_id: str,
    files: dict[str, str],
    actor: str,
    request_id: str | None = None,
) -> Signed:
    """A certificate of this report, entered into the log. KeyProblem, before anything is written, without a key."""
    log.settle(session)
    at = log.time(log.lock(session))
    key, signer = ring.signer(at)
    payload = statement(report, report_id=report_id, files=files, issued_at=at)
    body = {"report": report_id, certificate.NAMED: digest(payload), "key": key.id}
    event = log.append_now(
        session, events.waiting(certificate.ENTRY_KIND, actor=actor, request_id=request_id, body=body)
    )
    entry = Entry(event.record, event.details, event.salt)
    before = frontier(session, event.seq - 1)
    proof = LogProof.of_last(entry, before, at, signer)
    certificates.save_head(session, event.seq, canonical(proof.head), before.append(entry.leaf).to_bytes())
    return Signed(certificate.write(payload, proof, signer), event.seq, key.id)


def frontier(session: Session, size: int) -> Frontier:
    """The tree over the first `size` events: the newest kept one, grown by what came since."""
    found = Frontier()
    kept = certificates.newest_head(session, at_most=size)
    if kept is not None:
        try:
            grown = Frontier.from_bytes(kept.size, kept.frontier)
            root = json.loads(unpack(json.loads(kept.envelope), HEAD_TYPE))["root"]
        except (ValueError, KeyError, TypeError, CertificateInvalid):
            root, grown = "", found
        found = grown if grown.root.hex() == root else found  # else: damaged; count from the beginning
    return found.extend(log.hashes(session, after=found.size, limit=size - found.size))
