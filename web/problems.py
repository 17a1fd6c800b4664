"""Errors for people and programs: problem+json (RFC 9457) under `/api`, a page everywhere else.

Every error has a stable `code` and a `type` made from it. The words come from here or from `store.errors`,
never from what was sent: werkzeug descriptions, parser messages and pydantic inputs are dropped, because a
submitted value can be personal data. Unexpected errors are logged by class and place only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import structlog
from apiflask import APIFlask
from apiflask.exceptions import HTTPError
from flask import Response, g, json, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from store import errors as store_errors
from store.errors import StoreError
from unwrite.logs import where

TYPE_PREFIX = "urn:unwrite:problem:"
log = structlog.get_logger("web")

# status: (code, title, detail)
BY_STATUS: dict[int, tuple[str, str, str]] = {
    400: (
        "bad_request",
        "The request cannot be read",
        "The body is not well-formed. Send valid JSON in UTF-8.",
    ),
    401: ("unauthenticated", "Sign-in needed", "Send a valid API token: Authorization: Bearer unw_…"),
    403: ("forbidden", "Not allowed", "Your role or token does not include this right."),
    404: ("not_found", "Not found", "There is nothing at this address."),
    405: (
        "method_not_allowed",
        "Method not allowed",
        "See the Allow header for the methods of this address.",
    ),
    409: ("conflict", "Conflict", "The current state does not allow this."),
    410: ("gone", "No longer there", "What was here has been destroyed."),
    413: ("too_large", "The body is too large", "Send at most 1 MiB; split large imports."),
    415: ("unsupported_media_type", "JSON expected", "Send the body as Content-Type: application/json."),
    422: (
        "validation",
        "The data is not valid",
        "See errors: each entry names the field and what is expected.",
    ),
    429: (
        "too_many_requests",
        "Too many requests",
        "Wait as long as the Retry-After header says, then try again.",
    ),
    500: (
        "internal",
        "Something went wrong on our side",
        "Nothing was changed. The error was logged; try again later.",
    ),
    503: ("not_ready", "Not ready", "The service cannot answer yet; try again later."),
}

# code: (status, meaning); these say more than the code of their status
SPECIFIC: Mapping[str, tuple[int, str]] = {
    "idempotency_key_invalid": (400, "The Idempotency-Key is not printable ASCII, too long or empty."),
    "insufficient_scope": (403, "The token or the role lacks the scope that the call needs."),
    "no_tree_head": (404, "Nothing has been signed yet."),
    "no_such_entry": (404, "The newest signed tree head holds no such entry."),
    "no_report": (404, "The request has no report that this version can read."),
    "not_signed": (404, "The report has no certificate."),
    "report_unreadable": (409, "The report was made by another version and cannot be read."),
}
INTERNAL = (
    frozenset(  # store errors that no call of the API can meet: bases, and those of workers and commands
        {
            store_errors.StoreError,
            store_errors.PositionsError,
            store_errors.NotFound,
            store_errors.LeaseLost,
            store_errors.StaleRevision,
            store_errors.UnknownRun,
            store_errors.EmailTaken,
            store_errors.UnknownUser,
            store_errors.EventNotAllowed,
        }
    )
)


def every_code() -> list[tuple[str, int, str]]:
    """(code, status, meaning) of every problem that an answer of the API can carry, by status."""
    found = dict(SPECIFIC) | {code: (status, title) for status, (code, title, _) in BY_STATUS.items()}
    for kind in vars(store_errors).values():
        if isinstance(kind, type) and issubclass(kind, StoreError) and kind not in INTERNAL:
            found.setdefault(kind.code, (kind.status, (kind.__doc__ or "").splitlines()[0]))
    return [(code, *found[code]) for code in sorted(found, key=lambda code: (found[code][0], code))]


class Problem(Exception):
    """An error with a stable code; `detail` must not hold anything that was submitted."""

    def __init__(self, status: int, code: str = "", detail: str = "", **extra: Any) -> None:
        default_code, self.title, default_detail = BY_STATUS.get(status, BY_STATUS[500])
        super().__init__(code or default_code)
        self.status = status
        self.code = code or default_code
        self.detail = detail or default_detail
        self.extra = extra


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """`problem` as application/problem+json."""
    body = {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "request_id": g.get("request_id", ""),
        **problem.extra,
    }
    response = Response(json.dumps(body), problem.status, mimetype="application/problem+json")
    response.headers.update(headers or {})
    return response


def error_response(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    """`problem` in the form that the caller reads: JSON for programs, a page for people."""
    if request.path.startswith("/api/") or request.endpoint in {"system.healthz", "system.readyz"}:
        return problem_response(problem, headers)
    response = make_response(render_template("error.html", problem=problem), problem.status)
    response.headers.update(headers or {})
    return response


PAGE_DETAILS = {
    403: "Your role does not include this. Ask an administrator if you need it.",
    404: "There is nothing here, or it is not yours to see.",
    413: "The form is too large. Send fewer facts at once.",
    429: "You tried too often. Wait a minute, then try again.",
}


def page_detail(problem: Problem) -> str:
    """The words for a page: an API's advice about headers would not help a person there."""
    default = BY_STATUS.get(problem.status, BY_STATUS[500])
    return (
        PAGE_DETAILS.get(problem.status, problem.detail) if problem.detail == default[2] else problem.detail
    )


def request_id() -> str:
    """The reference that ties an answer to its line in the log."""
    return str(g.get("request_id", ""))


def validation_problem(error: ValidationError, location: str = "body") -> Problem:
    """A pydantic error without its inputs. An unknown field's name was chosen by the caller, so it is not
    repeated.
    """
    entries = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        path = list(item["loc"])
        message = item["msg"]
        if item["type"] == "extra_forbidden":
            path, message = path[:-1], "There is a field here that the API does not know."
        field = ".".join(str(part) for part in path) or "(whole)"
        entries.append({"location": location, "field": field, "code": item["type"], "message": message})
    return Problem(422, errors=entries)


def store_problem(error: StoreError) -> Problem:
    """A store error as a problem; the store promises that its messages hold no submitted text."""
    extra: dict[str, Any] = {}
    positions = getattr(error, "positions", None)
    if positions:
        extra["positions"] = list(positions)
    return Problem(error.status, error.code, str(error), **extra)


def _from_http(error: HTTPError) -> Problem:
    cause = error.__cause__
    if isinstance(cause, ValidationError):
        location = next(iter(cast("dict[str, Any]", error.detail)), "json")
        return validation_problem(cause, "body" if location == "json" else location)
    return Problem(error.status_code if error.status_code in BY_STATUS else _nearest(error.status_code))


def _nearest(status: int) -> int:
    return 400 if status < 500 else 500


def _log_crash(error: BaseException) -> None:
    log.error("crash", error=type(error).__name__, place=where(error), endpoint=request.endpoint or "")


def register(app: APIFlask) -> None:
    """Install the handlers. Later registrations are the more specific ones; Flask picks by class, not by
    order.
    """

    @app.error_processor
    def http_error(error: HTTPError) -> Response:
        headers = cast("dict[str, str]", error.headers or {})
        return error_response(_from_http(error), dict(headers))

    @app.errorhandler(Problem)
    def problem_raised(error: Problem) -> ResponseReturnValue:
        headers = {"WWW-Authenticate": 'Bearer realm="unwrite"'} if error.status == 401 else None
        return error_response(error, headers)

    @app.errorhandler(StoreError)
    def store_error(error: StoreError) -> ResponseReturnValue:
        return error_response(store_problem(error))

    @app.errorhandler(CSRFError)
    def csrf_error(error: CSRFError) -> ResponseReturnValue:
        detail = (
            "The form was open too long or came from elsewhere. Go back, reload the page and send it again."
        )
        return error_response(Problem(400, "form_expired", detail))

    @app.errorhandler(RecursionError)
    def nested_too_deeply(error: RecursionError) -> ResponseReturnValue:
        return error_response(Problem(400))

    @app.errorhandler(Exception)
    def crash(error: Exception) -> ResponseReturnValue:
        if isinstance(
            error, HTTPException
        ):  # pragma: no cover - handled above; kept so that none is ever a 500
            return error_response(Problem(error.code or 500))
        _log_crash(error)
        return error_response(Problem(500))
