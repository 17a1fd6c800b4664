"""The web server of `unwrite serve`: waitress with eight threads. Production uses gunicorn (web.wsgi).

Binding comes first, so that nothing has been made or started when the port is not to be had; who connects
before `serve_web` runs waits for it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import waitress

from store.database import Database
from unwrite.settings import Settings, SettingsError
from web import create_app

THREADS = 8
MAX_BODY_BYTES = 2_000_000


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """A socket for each address that `host` stands for. Raises SettingsError when one cannot be had."""
    with ExitStack() as stack:
        try:
            sockets = [
                stack.enter_context(socket.create_server(address, family=family))
                for family, address in _addresses(host, port)
            ]
        except OSError as error:
            raise SettingsError(_refused(error, host, port)) from None
        yield sockets


def serve_web(settings: Settings, database: Database, sockets: Sequence[socket.socket]) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    app = create_app(settings, database=database)
    waitress.serve(
        app,
        sockets=list(sockets),
        threads=THREADS,
        max_request_body_size=MAX_BODY_BYTES,
        ident=None,
        _quiet=True,
    )


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    name = None if host == "*" else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _refused(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use; stop what listens there or use --port."
    said = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return f"Cannot listen on {host}, port {port} ({said}). Choose others with --host and --port."
