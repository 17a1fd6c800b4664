"""The Celery application of the workers: four tasks and the beat that repeats three of them.

Tasks carry a job's id or nothing at all, return nothing and never raise: what happened is in the database.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery import Celery

from unwrite.broker import RUN_JOB, make_celery
from unwrite.settings import Settings
from workers.runner import Runner

SWEEP = "unwrite.sweep"
RECHECK_TICK = "unwrite.recheck_tick"
RECHECK_EVERY_S = 60.0
PURGE = "unwrite.purge"
PURGE_EVERY_S = 600.0

log = structlog.get_logger()


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What beat sends. A tick that nobody took in time expires: the next one does the same work."""
    return {
        "sweep": {
            "task": SWEEP,
            "schedule": settings.sweep_s,
            "options": {"queue": "default", "expires": settings.sweep_s},
        },
        "recheck": {
            "task": RECHECK_TICK,
            "schedule": RECHECK_EVERY_S,
            "options": {"queue": "default", "expires": RECHECK_EVERY_S},
        },
        "purge": {
            "task": PURGE,
            "schedule": PURGE_EVERY_S,
            "options": {"queue": "default", "expires": PURGE_EVERY_S},
        },
    }


def beat_app(settings: Settings) -> Celery:
    """An application that only knows the schedule; needs no database and no model."""
    app = make_celery(settings)
    app.conf.beat_schedule = beat_schedule(settings)
    return app


def worker_app(settings: Settings, runner: Runner) -> Celery:
    """An application whose tasks hand over to `runner`."""
    app = make_celery(settings)

    def run_job(job_id: str) -> None:
        runner.run(job_id)

    def sweep() -> None:
        runner.sweep()

    def recheck_tick() -> None:
        runner.enqueue_rechecks()

    def purge() -> None:
        runner.purge()

    tasks = {RUN_JOB: run_job, SWEEP: sweep, RECHECK_TICK: recheck_tick, PURGE: purge}
    for name, work in tasks.items():
        app.task(name=name)(work)
    return app
