"""The reader's own account: role and API tokens. A new token's secret is on the answer of its POST and
nowhere else.
"""

from __future__ import annotations

from datetime import timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from store import people
from store.clocks import now
from store.errors import InvalidInput
from web.context import reading, transaction
from web.identity import caller, page
from web.pages import pages
from web.pages.forms import TokenForm
from web.wording import ROLES, SCOPES


@pages.get("/account")
@page()
def account() -> ResponseReturnValue:
    """Who I am, what I may do, my tokens."""
    return _page(TokenForm(formdata=None))


@pages.post("/account/tokens")
@page()
def create_token() -> ResponseReturnValue:
    """Create a token and show its secret, once."""
    form = TokenForm()
    if not form.validate():
        return _page(form), 422
    days = int(form.days.data)
    expires = now() + timedelta(days=days) if days else None
    try:
        with transaction() as session:
            user = people.get_user(session, caller().user_id)
            _, secret = people.create_token(session, user, form.name.data, form.scopes.data or [], expires)
    except InvalidInput as error:
        field = form[error.field if error.field in form else "name"]
        field.errors = [*field.errors, str(error)]
        return _page(form), 422
    return _page(TokenForm(formdata=None), secret), 201


@pages.post("/account/tokens/<token_id>/revoke")
@page()
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke one of my tokens."""
    with transaction() as session:
        done = people.revoke_token(session, token_id, actor=caller().user_id, user_id=caller().user_id)
    flash(
        "The token was revoked." if done else "There is no such token to revoke.", "good" if done else "warn"
    )
    return redirect(url_for("pages.account"))


def _page(form: TokenForm, secret: str = "") -> str:
    who = caller()
    with reading() as session:
        tokens = people.tokens_of(session, who.user_id)
    return render_template(
        "account.html",
        section="pages.account",
        form=form,
        secret=secret,
        tokens=tokens,
        role_text=ROLES.get(who.role, ""),
        scope_choices=[(scope, text) for scope, text in SCOPES.items() if who.can(scope)],
    )
