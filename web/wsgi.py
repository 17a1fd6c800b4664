"""The entry for a production WSGI server: `gunicorn --worker-class gthread --threads 8 web.wsgi:app`."""

from unwrite import logs
from unwrite.settings import Settings
from web.app import create_app

logs.configure()
app = create_app(Settings())
