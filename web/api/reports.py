"""Reports over the API: what the workers stored, as JSON (no personal data) and as HTML (may name the
subject).
"""

from __future__ import annotations

from flask import Response

from store import audits
from web.api import api
from web.api.guard import document, requires
from web.api.outputs import ReportList, ReportRef
from web.context import reading
from web.documents import certificate_document, html_document, json_document
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

    Self-contained and printable. It names the facts, so treat it like the request itself.
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
