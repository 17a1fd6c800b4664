"""A report's page: the readable document in a sandboxed frame, its JSON, the request's other reports, and two reports
side by side.
"""

from __future__ import annotations

from flask import Response, render_template, url_for

from store import audits, certificates
from web import findings
from web.context import reading
from web.documents import certificate_document, figures_json, figures_page, html_document, json_document
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
    """The readable report itself, for the frame and for printing."""
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


@pages.get("/reports/<report_id>/compare/<other_id>")
@page("reports:read")
def compare_reports(report_id: str, other_id: str) -> str:
    """Two reports side by side: what changed from the first to the second."""
    with reading() as session:
        findings.comparison(session, report_id, other_id)
    return render_template(
        "framed.html",
        section="pages.queue",
        heading="Two reports compared",
        explained="What changed from A to B, and what cannot be compared.",
        back=url_for("pages.show_report", report_id=report_id),
        back_word="Report A",
        document=url_for("pages.comparison_document", report_id=report_id, other_id=other_id),
        data=url_for("pages.comparison_json", report_id=report_id, other_id=other_id),
    )


@pages.get("/reports/<report_id>/compare/<other_id>/document")
@page("reports:read")
def comparison_document(report_id: str, other_id: str) -> Response:
    """The comparison itself, for the frame and for printing."""
    with reading() as session:
        found = findings.comparison(session, report_id, other_id)
    return figures_page(found.to_html(), "comparison.html")


@pages.get("/reports/<report_id>/compare/<other_id>.json")
@page("reports:read")
def comparison_json(report_id: str, other_id: str) -> Response:
    """The comparison for programs."""
    with reading() as session:
        found = findings.comparison(session, report_id, other_id)
    return figures_json(found.to_json(), "comparison.json")
