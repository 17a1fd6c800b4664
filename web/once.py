"""A form that is sent twice, as by a double click, is done once: it carries a key that is remembered with the work."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from flask import request
from sqlalchemy.orm import Session

from store import idempotency
from store.errors import IdempotencyConflict
from web.context import services, transaction
from web.identity import caller

FIELD = "once"
_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_NOT_CONTENTS = frozenset({FIELD, "csrf_token", "submit"})


def new_key() -> str:
    """The key of a form that is about to be shown."""
    return secrets.token_urlsafe(16)


def done_once(work: Callable[[Session], str]) -> str:
    """The address to go to after `work`, in its own transaction. A form that was sent already leads to where it led
    then, without doing it again; `IdempotencyConflict` if it holds something else now. Raises what `work` raises.
    """
    key = request.form.get(FIELD, "")
    with transaction() as session:
        if not _KEY.fullmatch(key):
            return work(session)
        place = {"key": key, "user_id": caller().user_id, "route": f"{request.method} {request.path}"}
        try:
            stored = idempotency.begin(session, services().vault, **place, body=_contents())
        except IdempotencyConflict:
            raise IdempotencyConflict(
                "This form was sent before with other contents. See in the list what you sent; to send this as well, "
                "submit again."
            ) from None
        if stored is not None:
            return stored.body.decode()
        address = work(session)
        idempotency.complete(session, **place, status=302, body=address.encode())
        return address


def _contents() -> bytes:
    fields = request.form.items(multi=True)
    return urlencode([(name, value) for name, value in fields if name not in _NOT_CONTENTS]).encode()
