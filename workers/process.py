"""The worker process and the beat process, as `unwrite work` and `unwrite beat` run them.

One process holds one model and works on one job at a time (solo pool): a second GPU means a second process.
SIGTERM (or Ctrl-C) makes the job in hand go back to the queue at its next step, and the process leaves.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any

import structlog
from celery import signals
from celery.beat import Scheduler, Service
from celery.exceptions import SecurityWarning

from store.database import Database
from store.vault import Vault
from unwrite.broker import QUEUES, send_wake
from unwrite.settings import Settings
from workers import suite
from workers.app import SWEEP, beat_app, worker_app
from workers.model import ModelHost
from workers.runner import Runner

log = structlog.get_logger()


def worker_name() -> str:
    """A name that no other process has, also after a restart with the same process id."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def run_worker(settings: Settings, queues: Sequence[str] = QUEUES) -> int:
    """Work until told to stop; returns the exit status. Raises AuditError when the settings name no usable attacks."""
    suite.names(settings)
    database = Database(settings.resolved_database_url())
    vault = Vault(settings.master_key())
    models = ModelHost(database, vault, checkpoint=settings.checkpoint, device=settings.device)
    stop = threading.Event()
    runner = Runner(settings, database, vault, models, worker=worker_name(), stop=stop)
    app = worker_app(settings, runner)
    runner.wake = lambda job_id, queue: send_wake(app, job_id, queue)

    def shutting_down(**_: Any) -> None:
        stop.set()

    def ready(**_: Any) -> None:
        app.send_task(SWEEP, queue="default", expires=settings.sweep_s)
        log.info("worker ready", worker=runner.worker, queues=",".join(queues))

    # Celery warns of running as root because of pickles; our messages are JSON and hold an id.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    signals.setup_logging.connect(_keep_logging)
    signals.worker_shutting_down.connect(shutting_down)
    signals.worker_ready.connect(ready)
    worker = app.Worker(
        hostname=f"unwrite@{runner.worker}",
        pool_cls="solo",
        concurrency=1,
        queues=list(queues),
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
        redirect_stdouts=False,
    )
    worker.start()
    database.close()
    return int(worker.exitcode or 0)


def run_beat(settings: Settings) -> None:
    """Send the schedule's ticks until told to stop. Two beats do no harm: every tick is idempotent."""
    signals.setup_logging.connect(_keep_logging)

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    Service(beat_app(settings), scheduler_cls=Scheduler, remote_control=False).start()


def _keep_logging(**_: Any) -> None:
    """Connected to Celery's set-up of logging, so that Celery leaves ours alone."""
