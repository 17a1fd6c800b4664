"""Who is calling: a person with a browser session, or a program with an API token; and what they may do.

Sessions and tokens live in `store.people`; the browser's cookie holds only the session's secret. Rights
are scopes: a role permits some, a token at most those that it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import Flask, g
from flask_login import LoginManager, UserMixin, current_user
from sqlalchemy.orm import Session

from store import audits, people, rechecks, requests
from store.errors import UnknownRecheck, UnknownReport, UnknownRequest
from store.models import Recheck, Report, Request, User
from store.pages import Page
from web.context import services
from web.problems import Problem
from web.signed_out import ask_to_sign_in, asked_by_itself

P = ParamSpec("P")
R = TypeVar("R")
login_manager = LoginManager()


@dataclass(frozen=True)
class Caller:
    """A user and the scopes of this call."""

    user_id: str
    role: str
    scopes: frozenset[str]

    def can(self, scope: str) -> bool:
        """Whether this call may do what `scope` names."""
        return scope in self.scopes

    @property
    def only_own(self) -> str | None:
        """The user id to which everything shown is limited: requesters see only what they submitted."""
        return self.user_id if self.role == "requester" else None


class SignedIn(UserMixin):  # type: ignore[misc]
    """What Flask-Login keeps for a page: the user's public data and the secret of the session."""

    def __init__(self, user: User, secret: str) -> None:
        self.id, self.email, self.name, self.role = user.id, user.email, user.name, user.role
        self.secret = secret

    def get_id(self) -> str:
        """The session's secret: this is what the cookie carries, and it dies with the session's row."""
        return self.secret

    @property
    def caller(self) -> Caller:
        """A browser session has all rights of its user's role."""
        return Caller(self.id, self.role, scopes_of(self.role))


def scopes_of(role: str) -> frozenset[str]:
    """All scopes that a role permits."""
    return people.ROLES.get(role, frozenset())


def token_caller(secret: str) -> Caller | None:
    """The caller behind an API token, limited to what both the token and the role permit."""
    database = services().database
    with database.session(read_only=True) as session:
        found = people.token_user(session, secret)
    if found is None:
        return None
    if found.touch_due:
        database.attempt(lambda session: people.touch_token(session, found.token_id))
    return Caller(found.user.id, found.user.role, found.scopes)


def configure(app: Flask) -> None:
    """Install Flask-Login with the server-side sessions of the store."""
    login_manager.session_protection = (
        None  # the session row expires and can be closed; nothing else is needed
    )
    login_manager.init_app(app)

    @login_manager.user_loader  # type: ignore[untyped-decorator]
    def load(secret: str) -> SignedIn | None:
        if g.get("session_was_asked_for", False):
            return None  # asked again only when the first look-up raised: the page that says so is for nobody
        g.session_was_asked_for = True
        database = services().database
        with database.session(read_only=True) as session:
            user = people.session_user(session, secret)
            touch_due = (
                user is not None and not asked_by_itself() and people.session_touch_due(session, secret)
            )
        if touch_due:
            database.attempt(lambda session: people.touch_session(session, secret))
        return SignedIn(user, secret) if user is not None else None


def caller() -> Caller:
    """The caller of this request, put there by the guard of the API or by the page session."""
    known = g.get("caller")
    if isinstance(known, Caller):
        return known
    if not current_user.is_authenticated:
        raise Problem(401)
    return cast(SignedIn, current_user).caller


def page(scope: str = "") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A page that needs a session (else `ask_to_sign_in`) and, if given, a scope (else 403)."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            if not current_user.is_authenticated:
                return cast(R, ask_to_sign_in())
            if scope and not caller().can(scope):
                raise Problem(403)
            return view(*args, **kwargs)

        return guarded

    return decorate


def visible_report(session: Session, report_id: str) -> Report:
    """The report, if this caller may see its request."""
    found = audits.report(session, report_id)
    try:
        visible_request(session, found.request_id)
    except UnknownRequest:
        raise UnknownReport("There is no report with this id.") from None
    return found


def visible_recheck(session: Session, recheck_id: str) -> Recheck:
    """The re-check, if this caller may see its request."""
    found = rechecks.get(session, recheck_id)
    try:
        visible_request(session, found.request_id)
    except UnknownRequest:
        raise UnknownRecheck("There is no re-check with this id.") from None
    return found


def visible_rechecks(session: Session, *, limit: int = 50, cursor: str | None = None) -> Page[Recheck]:
    """The re-checks that this caller may see: the active ones first, the next to run on top; a page at a time."""
    return rechecks.list_rechecks(session, submitted_by=caller().only_own, limit=limit, cursor=cursor)


def visible_request(session: Session, request_id: str) -> Request:
    """The request, if this caller may see it; for everybody else it does not exist."""
    found = requests.get(session, request_id)
    mine = caller().only_own
    if mine is not None and found.submitted_by != mine:
        raise UnknownRequest("There is no request with this id.")
    return found
