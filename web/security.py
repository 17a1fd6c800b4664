"""Headers, content security policy, rate limits and cookies: what makes the pages safe to put on a network.

The policy allows this site's own files and nothing else; inline script needs the nonce of the request,
inline style is not allowed at all. Stored reports are documents of their own and get `REPORT_POLICY` (no
script, sandboxed).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect

from store.people import SESSION_CAP

MAX_BODY_BYTES = 1024 * 1024
LOGIN_LIMIT = "10 per minute; 60 per hour"
POST_LIMIT = "240 per minute"
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups"
)

log = structlog.get_logger("web")


def _log_refusal(refused: RequestLimit) -> None:
    log.warning("limit exceeded", endpoint=request.endpoint or "", limit=str(refused.limit))


csrf = CSRFProtect()
limiter = Limiter(
    get_remote_address, headers_enabled=True, in_memory_fallback_enabled=True, on_breach=_log_refusal
)


class CookieOverTls(SecureCookieSessionInterface):
    """The session cookie is `Secure` whenever the request came over TLS, so local http still works."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """True on https."""
        return request.is_secure


def cookie_key(master_key: bytes) -> bytes:
    """The key that signs cookies and form tokens, derived from the master key; every web process gets the
    same.
    """
    return hmac.new(master_key, b"unwrite:web:cookies:v1", hashlib.sha256).digest()


def counters_of(broker_url: str) -> dict[str, Any]:
    """Where calls are counted for the limits: in the broker's Redis for all processes, or in each process alone.

    A Redis that does not answer is not waited for: each process counts for itself until it does.
    """
    if broker_url.startswith(("redis://", "rediss://")):
        options = {"socket_connect_timeout": 1, "socket_timeout": 1}
        return {"RATELIMIT_STORAGE_URI": broker_url, "RATELIMIT_STORAGE_OPTIONS": options}
    return {"RATELIMIT_STORAGE_URI": "memory://"}


def configure(app: Flask, master_key: bytes, broker_url: str) -> None:
    """Cookie, body size, CSRF, limiter and headers."""
    app.config.update(
        counters_of(broker_url),
        SECRET_KEY=cookie_key(master_key),
        SESSION_COOKIE_NAME="unwrite",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        MAX_FORM_PARTS=2000,
        # a form outlives a session that ended beside it
        WTF_CSRF_TIME_LIMIT=int(SESSION_CAP.total_seconds()),
    )
    app.session_interface = CookieOverTls()
    csrf.init_app(app)
    app.after_request(_retry_after_refusals_only)  # runs after the limiter's own, which comes later here
    limiter.init_app(app)
    app.before_request(_name_request)
    app.after_request(_headers)


def csp_nonce() -> str:
    """The nonce of this response, for the few script tags of the layout."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def _name_request() -> None:
    g.request_id = secrets.token_hex(8)


def _retry_after_refusals_only(response: Response) -> Response:
    """The limiter tells every caller when his time window ends; the header asks to wait, so others lose it."""
    if response.status_code not in {429, 503}:
        response.headers.pop("Retry-After", None)
    return response


def _page_policy() -> str:
    return (
        f"default-src 'none'; script-src 'nonce-{csp_nonce()}'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )


def _headers(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _page_policy())
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
    headers["X-Request-Id"] = g.get("request_id", "")
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
