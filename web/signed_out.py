"""What somebody gets whose session has ended, or who has none: a way to sign in that loses nothing.

A page is come back to after the sign-in. A filled form is kept on the page that says so, to be sent again. A live
page goes to the sign-in as a whole; otherwise htmx would put the sign-in into the panel that it refreshes.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue


def ask_to_sign_in() -> ResponseReturnValue:
    """The answer to a call of a page without a session."""
    if asked_by_itself():
        return Response("", 401, {"HX-Redirect": url_for("pages.login", next=_page_shown())})
    if request.method == "POST" and _may_be_kept():
        fields = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
        return render_template("session_ended.html", fields=fields), 401
    target = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("pages.login", next=target))


def asked_by_itself() -> bool:
    """Whether a live page asks (htmx), and no person: that is no use of a session, and no page to show."""
    return "HX-Request" in request.headers


def local_path(target: str) -> str | None:
    """`target` if it is a path of this site, else None: a sign-in never forwards to another site."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else None


def _page_shown() -> str | None:
    """The path of the page that htmx asks from."""
    try:
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:
        return None
    return local_path(f"{shown.path}?{shown.query}".rstrip("?"))


def _may_be_kept() -> bool:
    """Passwords and files are not written into a page. That the form is ours, its CSRF token has shown."""
    return not request.files and not any("password" in name for name in request.form)
