"""The web server of `unwrite serve`: waitress with eight threads. Production uses gunicorn (web.wsgi)."""

from __future__ import annotations

import waitress

from store.database import Database
from unwrite.settings import Settings
from web import create_app

THREADS = 8
MAX_BODY_BYTES = 2_000_000


def serve_web(settings: Settings, database: Database, host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    app = create_app(settings, database=database)
    waitress.serve(
        app,
        host=host,
        port=port,
        threads=THREADS,
        max_request_body_size=MAX_BODY_BYTES,
        ident=None,
        _quiet=True,
    )
