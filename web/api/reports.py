"""Reports over the API: what the workers stored, as JSON (no personal data) and as HTML (names facts and people
to who may read the texts of the request).
"""

from __future__ import annotations

from flask import Response

from store import audits
from web import findings
from web.api import api
from web.api.guard import document, requires
from web.api.outputs import ReportList, ReportRef
from web.context import reading
from web.documents import certificate_document, figures_json, figures_page, html_document, json_document
from web.identity import visible_report, visible_request


@api.get("/requests/<request_id>/reports")
@requires("reports:read")
@api.output(ReportList)
def list_reports(request_id: str) -> ReportList:
    """List the reports of a request, newest first"""
    with reading() as session:
        visible_request(session, request_id)
        return ReportList(items=[ReportRef.of(report) for report in audits.reports_of(session, request_id)])


@api.get("/reports/<report_id>.json")
@requires("reports:read")
@api.doc(responses=document("The report", "application/json", "object"))
def report_json(report_id: str) -> Response:
    """Get a report as JSON

    Figures, methods, seeds and digests; no personal data.
    """
    with reading() as session:
        return json_document(visible_report(session, report_id))


@api.get("/reports/<report_id>.html")
@requires("reports:read")
@api.doc(responses=document("The report", "text/html", "string"))
def report_html(report_id: str) -> Response:
    """Get a report as one HTML file

    Self-contained and printable. It names the facts, so treat it like the request itself. Only who may decide
    (`requests:decide`) and who submitted the request get it so; for everybody else facts are named by their ids.
    """
    with reading() as session:
        return html_document(session, visible_report(session, report_id))


@api.get("/reports/<report_id>.dsse")
@requires("reports:read")
@api.doc(responses=document("The certificate", "application/vnd.dsse.envelope.v1+json", "object"))
def report_certificate(report_id: str) -> Response:
    """Get the signed certificate of a report

    An in-toto statement in a DSSE envelope, with its inclusion proof. It holds no personal data. Check it with
    `unwrite verify`, or with the script at `/verify.py`. 404 `not_signed` while there is none.
    """
    with reading() as session:
        return certificate_document(session, visible_report(session, report_id))


@api.get("/reports/<report_id>/compare/<other_id>.json")
@requires("reports:read")
@api.doc(responses=document("The comparison", "application/json", "object"))
def comparison_json(report_id: str, other_id: str) -> Response:
    """Compare two reports, as JSON

    What changed from the first to the second: verdict, bounds, rates with intervals, attacks, facts, memory, method;
    and what cannot be compared, in words. No personal data. 409 `report_unreadable` for one of another version.
    """
    with reading() as session:
        found = findings.comparison(session, report_id, other_id)
    return figures_json(found.to_json(), "comparison.json")


@api.get("/reports/<report_id>/compare/<other_id>.html")
@requires("reports:read")
@api.doc(responses=document("The comparison", "text/html", "string"))
def comparison_html(report_id: str, other_id: str) -> Response:
    """Compare two reports, as one HTML file

    Self-contained and printable; facts are named by their ids.
    """
    with reading() as session:
        found = findings.comparison(session, report_id, other_id)
    return figures_page(found.to_html(), "comparison.html")


@api.get("/requests/<request_id>/trend.json")
@requires("reports:read")
@api.doc(responses=document("The trend", "application/json", "object"))
def request_trend(request_id: str) -> Response:
    """Get what each audit of a request found

    Oldest first: counts, the bound from each audit alone, and the bound from all so far that holds however often
    one looks, unless audits are missing: `unreported` were stopped or failed, `unread` cannot be read.

    404 `no_report` while there is none.
    """
    with reading() as session:
        found = findings.request_trend(session, request_id)
    return figures_json(found.data, "trend.json")
