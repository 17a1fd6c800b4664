"""The pages: server-rendered HTML for people with a session. Each module holds the pages of one noun.

Every form posts back to the server and works without script; htmx refreshes the progress bar and nothing
else.
"""

from flask import Blueprint

pages = Blueprint("pages", __name__)

from web.pages import (  # noqa: E402
    account,  # noqa: F401
    decisions,  # noqa: F401
    facts,  # noqa: F401
    queue,  # noqa: F401
    rechecks,  # noqa: F401
    reports,  # noqa: F401
    requests,  # noqa: F401
    signin,  # noqa: F401
    trends,  # noqa: F401
)
