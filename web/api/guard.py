"""The guard of the API: a token with the right scope, JSON bodies, and answers that can be asked for again.

`requires` authenticates; `idempotent` makes a POST repeatable: the effect and the remembered answer are
committed in one transaction, so a crash between them cannot happen. Answers of failed requests are not
kept, they had no effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, cast

from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue

from store import idempotency
from web.context import services, transaction
from web.identity import caller, token_caller
from web.problems import Problem

P = ParamSpec("P")
View = Callable[P, Any]  # what APIFlask's `output` turns into a response
Guarded = Callable[P, ResponseReturnValue]
KEY = re.compile(r"[\x21-\x7e]{1,200}")


def requires(scope: str) -> Callable[[View[P]], Guarded[P]]:
    """Let a call through whose token and role both permit `scope`."""

    def decorate(view: View[P]) -> Guarded[P]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            found = token_caller(_bearer())
            if found is None:
                raise Problem(401)
            if not found.can(scope):
                raise Problem(
                    403, "insufficient_scope", f"This needs the scope {scope} in the token and your role."
                )
            g.caller = found
            _check_media_type()
            return cast(ResponseReturnValue, view(*args, **kwargs))

        guarded.required_scope = scope  # type: ignore[attr-defined]  # read by web.openapi
        return guarded

    return decorate


def document(
    description: str, media_type: str, kind: str
) -> dict[int | str, dict[str, str | dict[str, Any]]]:
    """The OpenAPI responses of a route that answers with a file."""
    return {200: {"description": description, "content": {media_type: {"schema": {"type": kind}}}}}


def idempotent(view: View[P]) -> Guarded[P]:
    """Answer a repeated POST (same Idempotency-Key, same body) as the first time, without doing it again."""

    @wraps(view)
    def once(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return cast(ResponseReturnValue, view(*args, **kwargs))
        if not KEY.fullmatch(key):
            raise Problem(
                400, "idempotency_key_invalid", "Use 1 to 200 printable ASCII characters without spaces."
            )
        return _answer_once(key, lambda: view(*args, **kwargs))

    return once


def located(address: str) -> Callable[[View[P]], Guarded[P]]:
    """Say in `Location` where the new thing is, by the `id` of the answer: the first time and every time after."""

    def decorate(view: View[P]) -> Guarded[P]:
        @wraps(view)
        def placed(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            response = make_response(view(*args, **kwargs))
            response.headers["Location"] = address.format(id=response.get_json()["id"])
            return response

        return placed

    return decorate


def _answer_once(key: str, answer: Callable[[], ResponseReturnValue]) -> Response:
    place = {"key": key, "user_id": caller().user_id, "route": f"{request.method} {request.path}"[:200]}
    body = request.get_data(cache=True)
    with transaction() as session:
        stored = idempotency.begin(session, services().vault, **place, body=body)
        if stored is not None:
            again = Response(stored.body, stored.status, mimetype="application/json")
            again.headers["Idempotency-Replayed"] = "true"
            return again
        response = make_response(answer())
        idempotency.complete(session, **place, status=response.status_code, body=response.get_data())
    return response


def _bearer() -> str:
    header = request.authorization
    if header is None or header.type != "bearer" or not header.token:
        raise Problem(401)
    return header.token


def _check_media_type() -> None:
    if request.method == "POST" and request.content_length and not request.is_json:
        raise Problem(415)
