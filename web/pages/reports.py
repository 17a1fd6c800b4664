"""A report's page: the stored document in a sandboxed frame, its JSON, and the request's other reports."""

from __future__ import annotations

from flask import Response, render_template

from store import audits, certificates
from web.context import reading
from web.documents import certificate_document, html_document, json_document
from web.identity import page, visible_report
from web.pages import pages


@pages.get("/reports/<report_id>")
@page("reports:read")
def show_report(report_id: str) -> str:
    """The report inside the site's frame."""
    with reading() as session:
        report = visible_report(session, report_id)
        signed = certificates.of_report(session, report.id) is not None
        others = [other for other in audits.reports_of(session, report.request_id) if other.id != report.id]
    return render_template(
        "report.html",
        section="pages.queue",
        report=report,
        others=others,
        signed=signed,
        has_document=report.html_ciphertext is not None,
    )


@pages.get("/reports/<report_id>/document")
@page("reports:read")
def report_document(report_id: str) -> Response:
    """The stored HTML itself, for the frame and for printing."""
    with reading() as session:
        return html_document(session, visible_report(session, report_id))


@pages.get("/reports/<report_id>.json")
@page("reports:read")
def report_json(report_id: str) -> Response:
    """The stored JSON, which holds no personal data."""
    with reading() as session:
        return json_document(visible_report(session, report_id))


@pages.get("/reports/<report_id>.dsse")
@page("reports:read")
def report_certificate(report_id: str) -> Response:
    """The signed certificate."""
    with reading() as session:
        return certificate_document(session, visible_report(session, report_id))
