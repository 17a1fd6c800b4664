"""Stored reports read back as figures: one without its texts, two side by side, and all of a request in a row.

What is shown is made by the pure part of `audit` from the stored JSON, which holds no personal data; nothing is
measured and no key is needed here, so it works after the texts were destroyed (docs/adr/0016).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from audit.compare import Comparison, compare
from audit.errors import ReportInvalid
from audit.policy import Policy
from audit.report import validate
from audit.schema import Report, TrendPoint
from audit.trend import look_of, to_json, trend
from store import audits
from store import models as tables
from web.identity import visible_report, visible_request
from web.problems import Problem

UNREADABLE = "A report was made by another version and cannot be read by this one."


@dataclass(frozen=True)
class Trend:
    """All readable audits of a request, oldest first, under the newest one's policy; and how many are not among them:
    audits that attacked and left no report, and reports that cannot be read.
    """

    points: tuple[TrendPoint, ...]
    policy: Policy
    unreported: int
    unread: int

    @property
    def data(self) -> bytes:
        """The trend for programs."""
        return to_json(self.points, unreported=self.unreported, unread=self.unread)


def comparison(session: Session, first: str, second: str) -> Comparison:
    """Two reports that this caller may see, side by side; 409 when one cannot be read."""
    a, b = (_figures(visible_report(session, report_id)) for report_id in (first, second))
    return compare(a, b)


def page_without_texts(row: tables.Report) -> bytes:
    """The readable report made anew from its figures, facts by their ids; 409 when it cannot be read."""
    return _figures(row).to_html()


def request_trend(session: Session, request_id: str) -> Trend:
    """The audits of a request that this caller may see; 404 while it has no readable report."""
    visible_request(session, request_id)
    rows = audits.reports_of(session, request_id)
    read = [report for row in reversed(rows) if (report := _read(row)) is not None]
    if not read:
        raise Problem(404, "no_report", "This request has no report that this version can read.")
    policy = read[-1].policy
    points = trend([look_of(report) for report in read], policy.confidence)
    return Trend(points, policy, audits.unreported_of(session, request_id), len(rows) - len(read))


def _figures(row: tables.Report) -> Report:
    try:
        return validate(row.json)
    except ReportInvalid:
        raise Problem(409, "report_unreadable", UNREADABLE) from None


def _read(row: tables.Report) -> Report | None:
    try:
        return validate(row.json)
    except ReportInvalid:
        return None
