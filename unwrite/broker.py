"""The broker: how a process wakes a worker; a leaf module without tasks, so that web need not import workers.

A message is only a job's opaque id. The database is the queue of record: when a message is lost the sweep
sends it again, when it comes twice the claim in the database lets one through. Hence results are ignored,
nothing is acknowledged late, and a broker that is down never fails a request.

Without `UNWRITE_BROKER_URL` the messages are files below `home` (`FileTransport`, for one machine).
"""

from __future__ import annotations

import json
import logging
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from celery import Celery
from kombu import Queue
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES, filesystem

from unwrite.settings import Settings

RUN_JOB = "unwrite.run_job"
QUEUES = ("model", "default")
POLL_S = 0.2
SCHEME = "unwrite-files"

log = logging.getLogger(__name__)


class FileChannel(filesystem.Channel):  # type: ignore[misc]  # kombu has no types
    """One file a message, in one folder; put and taken by atomic renames: nobody reads half a message.

    (kombu's own channel opens the final name before it writes, and several workers then read empty files.)
    Every message goes straight to a named queue, so the exchange tables on disk are not needed.
    """

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Nothing to bind: messages carry their queue's name."""

    def get_table(self, exchange: str) -> list[Any]:
        """No exchange tables."""
        return []

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.{queue}.msg"
        draft = Path(self.processed_folder) / name
        draft.write_text(json.dumps(payload), encoding="utf-8")
        os.rename(draft, Path(self.data_folder_out) / name)

    def _get(self, queue: str) -> Any:
        for path in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            taken = Path(self.processed_folder) / path.name
            try:
                os.rename(path, taken)
            except FileNotFoundError:
                continue  # another worker was faster
            try:
                return json.loads(taken.read_text(encoding="utf-8"))
            except ValueError:
                log.warning("dropped an unreadable message; the sweep repeats it")
            finally:
                taken.unlink(missing_ok=True)
        raise Empty


class FileTransport(filesystem.Transport):  # type: ignore[misc]
    """kombu's filesystem transport over `FileChannel`."""

    Channel = FileChannel


TRANSPORT_ALIASES[SCHEME] = "unwrite.broker:FileTransport"


def make_celery(settings: Settings) -> Celery:
    """A Celery application for these settings: the given broker, or files below `home`."""
    url, options = _transport(settings)
    app = Celery("unwrite", broker=url, set_as_current=False)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=3,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue="default",
        task_create_missing_queues=False,
        task_send_sent_event=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        enable_utc=True,
    )
    return app


def send_wake(app: Celery, job_id: str, queue: str) -> None:
    """Tell a worker on `queue` that a job waits. Never raises: a lost wake is repaired by the sweep."""
    try:
        app.send_task(RUN_JOB, args=[job_id], queue=queue, ignore_result=True)
    except (KombuError, OSError) as error:
        log.warning("wake not sent, the sweep will: %s", type(error).__name__)


def _transport(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Broker URL and transport options; the folders of the file broker are made here."""
    if settings.broker_url:
        redis = settings.broker_url.startswith(("redis", "valkey"))
        return settings.broker_url, {"socket_connect_timeout": 3, "socket_keepalive": True} if redis else {}
    root = settings.ensure_home() / "broker"
    messages, taken = root / "messages", root / "taken"
    for folder in (messages, taken):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"{SCHEME}://", {
        "data_folder_in": str(messages),
        "data_folder_out": str(messages),
        "processed_folder": str(taken),
        "polling_interval": POLL_S,
    }
