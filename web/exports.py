"""The register of requests as CSV, for records that the law asks to be kept: ids, dates, states, counts; no
texts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from flask import Response
from sqlalchemy.orm import Session

from store import requests
from store.clocks import days_left, now
from store.models import Request
from store.states import TERMINAL
from web import queries
from web.wording import iso

COLUMNS = (
    "id",
    "reference",
    "kind",
    "regulation",
    "state",
    "received_at",
    "due_at",
    "days_left",
    "decided_at",
    "completed_at",
    "facts",
    "submitted_by",
    "decided_by",
    "duplicate_of",
)
PAGE = 200


def all_requests(
    session: Session,
    submitted_by: str | None,
    states: Sequence[str] = (),
    kind: str | None = None,
    *,
    troubled_rechecks: bool = False,
) -> list[tuple[str | int, ...]]:
    """One row a request, the most urgent first; filters as in `requests.list_requests`."""
    rows: list[tuple[str | int, ...]] = []
    cursor: str | None = None
    while True:
        page = requests.list_requests(
            session,
            states=states,
            kind=kind,
            submitted_by=submitted_by,
            troubled_rechecks=troubled_rechecks,
            limit=PAGE,
            cursor=cursor,
        )
        counts = queries.facts_per_request(session, [item.id for item in page.items])
        rows += [_row(item, counts.get(item.id, 0)) for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return rows


def csv_response(rows: Iterable[tuple[str | int, ...]]) -> Response:
    """The rows under their header, as a download."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    response = Response(text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="unwrite-requests.csv"'
    return response


def _row(request: Request, facts: int) -> tuple[str | int, ...]:
    open_days = "" if request.state in TERMINAL else days_left(request.due_at, now())
    return (
        request.id,
        request.reference,
        request.kind,
        request.regulation,
        request.state,
        iso(request.received_at),
        iso(request.due_at),
        open_days,
        iso(request.decided_at),
        iso(request.completed_at),
        facts,
        request.submitted_by,
        request.decided_by or "",
        request.duplicate_of or "",
    )


def _plain(cell: str | int) -> str | int:
    """A reference may begin with a dash, which spreadsheets would read as a formula; a quote mark keeps it
    text.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("-", "=", "+", "@")) else cell
