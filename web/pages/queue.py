"""The queue: requests by days left, with filters that live in the address, and the same list as CSV."""

from __future__ import annotations

from collections.abc import Mapping

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from store import ledger, recheck_runs, requests
from store.errors import InvalidInput, UnknownBank
from store.states import STATES, TERMINAL, UNDERWAY
from web import exports, queries
from web.context import reading, services
from web.identity import caller, page
from web.pages import pages

ATTENTION = "attention"
"""The view that lists, beside requests in its states, those whose re-check failed."""
VIEWS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "open": ("Open", tuple(state for state in STATES if state not in TERMINAL)),
    "decide": ("Awaiting decision", ("received",)),
    "working": ("In progress", tuple(sorted(UNDERWAY))),
    ATTENTION: ("Needs attention", ("failed", "residual")),
    "closed": ("Closed", tuple(sorted(TERMINAL))),
    "all": ("All", ()),
}


@pages.get("/")
def home() -> ResponseReturnValue:
    """The front door leads to the queue."""
    return redirect(url_for("pages.queue"))


@pages.get("/requests")
@page("requests:read")
def queue() -> ResponseReturnValue:
    """The requests of one view, a page at a time."""
    view, kind = _filters()
    mine = caller().only_own
    with reading() as session:
        try:
            found = requests.list_requests(
                session,
                states=VIEWS[view][1],
                kind=kind,
                submitted_by=mine,
                troubled_rechecks=view == ATTENTION,
                cursor=request.args.get("cursor"),
            )
        except InvalidInput:
            return redirect(url_for("pages.queue", view=view, kind=kind))
        counts = queries.queue_counts(session, mine)
        troubles = recheck_runs.troubles_among(session, [item.id for item in found.items])
        fact_counts = queries.facts_per_request(session, [item.id for item in found.items])
        try:
            fact_total = queries.fact_counts(
                session, ledger.bank(session, services().settings.bank).id
            ).written
        except UnknownBank:
            fact_total = 0
    return render_template(
        "queue.html",
        section="pages.queue",
        items=found.items,
        next_cursor=found.next_cursor,
        counts=counts,
        fact_counts=fact_counts,
        troubles=troubles,
        fact_total=fact_total,
        views=[(key, label) for key, (label, _) in VIEWS.items()],
        view=view,
        kind=kind or "",
    )


@pages.get("/requests.csv")
@page("requests:read")
def queue_csv() -> ResponseReturnValue:
    """The requests of one view as CSV."""
    view, kind = _filters()
    with reading() as session:
        rows = exports.all_requests(
            session, caller().only_own, VIEWS[view][1], kind, troubled_rechecks=view == ATTENTION
        )
        return exports.csv_response(rows)


def _filters() -> tuple[str, str | None]:
    view, kind = request.args.get("view", "open"), request.args.get("kind")
    return view if view in VIEWS else "open", kind if kind in {"forget", "censor"} else None
