"""Reports as HTTP documents: what the workers stored, and figures made from it (`web.findings`).

Who may not read the texts of a request gets its report's page without them, made anew from the JSON. The HTML is a
document of its own with its own policy: inline style, no script, no network, sandboxed.
"""

from __future__ import annotations

from flask import Response
from sqlalchemy.orm import Session

from store import audits, certificates, requests
from store.models import Report
from web import findings
from web.context import services
from web.identity import caller
from web.problems import Problem
from web.security import REPORT_POLICY
from web.steps import may_read_texts


def json_document(report: Report) -> Response:
    """The machine-readable report, which holds no personal data."""
    return figures_json(report.json, f"{report.id}.json")


def html_document(session: Session, report: Report) -> Response:
    """The readable report, without texts for who may not read those; 410 once they were destroyed."""
    shown = may_read_texts(requests.get(session, report.request_id), caller())
    if report.html_ciphertext is not None and not shown:
        return figures_page(findings.page_without_texts(report), f"{report.id}-without-texts.html")
    html = audits.report_html(session, services().vault, report.id)
    if html is None:
        raise Problem(410, "texts_destroyed", "The readable report was destroyed; its JSON document remains.")
    return figures_page(html, f"{report.id}.html")


def figures_page(html: bytes, name: str) -> Response:
    """A self-contained page in a sandbox of its own."""
    response = _named(Response(html, mimetype="text/html"), name)
    response.headers["Content-Security-Policy"] = REPORT_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def figures_json(data: bytes, name: str) -> Response:
    """The same for programs."""
    return _named(Response(data, mimetype="application/json"), name)


def certificate_document(session: Session, report: Report) -> Response:
    """The signed certificate, in the very bytes that were signed; 404 while the report is not signed."""
    data = certificates.of_report(session, report.id)
    if data is None:
        raise Problem(404, "not_signed", "This report has no certificate. The operator can sign it later.")
    response = Response(data, mimetype="application/vnd.dsse.envelope.v1+json")
    response.headers["Content-Disposition"] = f'attachment; filename="{report.id}.dsse"'
    return response


def _named(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return response
