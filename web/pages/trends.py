"""All audits of a request in a row: does what was removed come back?"""

from __future__ import annotations

from flask import Response, render_template, url_for

from web import findings
from web.context import reading
from web.documents import figures_json, figures_page
from web.identity import page
from web.pages import pages


@pages.get("/requests/<request_id>/trend")
@page("reports:read")
def show_trend(request_id: str) -> str:
    """The trend inside the site's frame."""
    with reading() as session:
        findings.request_trend(session, request_id)
    return render_template(
        "framed.html",
        section="pages.recheck_list",
        heading="Audit after audit",
        explained="What each audit of this request found, and what all of them together allow to say.",
        back=url_for("pages.show_request", request_id=request_id),
        back_word="Request",
        document=url_for("pages.trend_document", request_id=request_id),
        data=url_for("pages.trend_json", request_id=request_id),
    )


@pages.get("/requests/<request_id>/trend/document")
@page("reports:read")
def trend_document(request_id: str) -> Response:
    """The trend itself, for the frame and for printing."""
    from audit.trend_page import render  # brings matplotlib, which no other page needs

    with reading() as session:
        found = findings.request_trend(session, request_id)
    made = render(found.points, found.policy, unreported=found.unreported, unread=found.unread)
    return figures_page(made, "trend.html")


@pages.get("/requests/<request_id>/trend.json")
@page("reports:read")
def trend_json(request_id: str) -> Response:
    """The trend for programs."""
    with reading() as session:
        found = findings.request_trend(session, request_id)
    return figures_json(found.data, "trend.json")
