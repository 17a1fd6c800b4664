"""Logs of the web room: one line a request with method, route pattern, status and time; never a path, query
or body.
"""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request

log = structlog.get_logger("web")


def configure(app: Flask) -> None:
    """One line a request. How lines look and where they go is set up by the process (`unwrite.logs`)."""
    app.before_request(_start)
    app.after_request(_line)


def _start() -> None:
    g.started = time.perf_counter()


def _line(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule is not None else "(none)"
    if request.endpoint not in {"static", "system.healthz", "system.readyz"}:
        took_ms = round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1)
        log.info(
            "request",
            method=request.method,
            route=rule,
            status=response.status_code,
            ms=took_ms,
            request_id=g.get("request_id", ""),
        )
    return response
