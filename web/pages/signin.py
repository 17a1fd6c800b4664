"""Sign in and out. One answer for a wrong address and a wrong password; ten failures lock an account (in the
store).
"""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from store import people
from web import queries
from web.context import reading, services
from web.identity import SignedIn
from web.pages import pages
from web.pages.forms import LoginForm
from web.security import LOGIN_LIMIT, limiter
from web.signed_out import local_path

_FORMS = "csrf_token"  # in the cookie: the secret behind form tokens
_OWNER = "forms_of"  # in the cookie: whose forms they are
REFUSED = (
    "That address and password do not match an account, or the account is locked for a quarter of an hour."
)


@pages.get("/login")
def login() -> ResponseReturnValue:
    """The sign-in form."""
    if current_user.is_authenticated:
        return redirect(url_for("pages.queue"))
    return _form(LoginForm(formdata=None))


@pages.post("/login")
@limiter.limit(LOGIN_LIMIT)  # type: ignore[untyped-decorator]
def sign_in() -> ResponseReturnValue:
    """Check the password and open a session."""
    form = LoginForm()
    if not form.validate():
        return _form(form), 422
    with services().database.session() as session:
        user = people.check_password(session, form.email.data, form.password.data)
        secret = people.open_session(session, user) if user is not None else ""
    if user is None:
        return _form(form, REFUSED), 401
    _renew_cookie(SignedIn(user, secret))
    return redirect(_local(request.form.get("next", "")))


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """Close the session in the database and in the browser."""
    if current_user.is_authenticated:
        with services().database.session() as session:
            people.close_session(session, current_user.get_id())
        logout_user()
    cookie.clear()
    return redirect(url_for("pages.login"))


def _renew_cookie(user: SignedIn) -> None:
    """A cookie for this session alone. Only the forms that the same person left open in this browser stay valid: the
    secret behind their tokens is not taken over from anybody else, who might know it.
    """
    forms = cookie.get(_FORMS) if cookie.get(_OWNER) == user.id else None
    cookie.clear()
    login_user(user)
    cookie[_OWNER] = user.id
    if forms is not None:
        cookie[_FORMS] = forms


def _form(form: LoginForm, problem: str = "") -> str:
    with reading() as session:
        no_users = not queries.has_users(session)
    next_page = _local(request.values.get("next", ""))
    return render_template("login.html", form=form, problem=problem, no_users=no_users, next_page=next_page)


def _local(target: str) -> str:
    """`target` if it is a path of this site, else the queue."""
    return local_path(target) or url_for("pages.queue")
