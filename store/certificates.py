"""Certificates and signed tree heads, as bytes that the room `audit` made. Nothing here can sign."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from store import clocks
from store.models import Certificate, Report, TreeHead


@dataclass(frozen=True)
class Signed:
    """A certificate with its place in the log and the key that signed it."""

    envelope: bytes
    seq: int
    key_id: str


def save(session: Session, report_id: str, signed: Signed) -> None:
    """Keep the certificate of a report; a report that has one keeps that."""
    if of_report(session, report_id) is None:
        session.add(
            Certificate(
                report_id=report_id,
                envelope=signed.envelope,
                seq=signed.seq,
                key_id=signed.key_id,
                created_at=clocks.now(),
            )
        )
        session.flush()


def of_report(session: Session, report_id: str) -> bytes | None:
    """The certificate of a report, or None if it was never signed."""
    row = session.get(Certificate, report_id)
    return None if row is None else row.envelope


def signed_reports(session: Session) -> list[Certificate]:
    """All certificates of stored reports, in the order of the log."""
    return list(session.scalars(sa.select(Certificate).order_by(Certificate.seq)))


def unsigned_reports(session: Session) -> list[Report]:
    """Reports that have no certificate, oldest first."""
    query = sa.select(Report).outerjoin(Certificate, Certificate.report_id == Report.id)
    query = query.where(Certificate.report_id.is_(None))
    return list(session.scalars(query.order_by(Report.created_at, Report.id)))


def save_head(session: Session, size: int, envelope: bytes, frontier: bytes) -> None:
    """Keep a signed tree head, with the inner nodes from which the tree grows on."""
    session.merge(TreeHead(size=size, envelope=envelope, frontier=frontier, created_at=clocks.now()))
    session.flush()


def heads(session: Session) -> list[TreeHead]:
    """All signed tree heads, by size."""
    return list(session.scalars(sa.select(TreeHead).order_by(TreeHead.size)))


def newest_head(session: Session, *, at_most: int | None = None) -> TreeHead | None:
    """The signed head of the largest tree (of at most so many entries)."""
    query = sa.select(TreeHead).order_by(TreeHead.size.desc()).limit(1)
    if at_most is not None:
        query = query.where(TreeHead.size <= at_most)
    return session.scalars(query).first()
