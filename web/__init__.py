"""The web room: the JSON API under `/api/v1` and the server-rendered pages. Talks to `store`, wakes workers,
runs no model.

`create_app` is the factory (`web/app.py`); `gunicorn 'web.wsgi:app'` is the production entry.
"""

from web.app import create_app

__all__ = ["create_app"]
