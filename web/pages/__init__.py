"""The pages: server-rendered HTML for people with a session. Each module holds the pages of one noun.

Every form posts back to the server and works without script; htmx refreshes the progress bar and nothing
else.
"""

from flask import Blueprint

pages = Blueprint("pages", __name__)

from web.pages import account, decisions, facts, queue, rechecks, reports, requests, signin  # noqa: E402,F401
