"""Child processes of one command: start them, stop them, and never leave one behind.

A child runs in a session of its own, so that Ctrl-C reaches only the command, which then stops its children
in order. Should the command die without a chance to (kill -9), the child notices that its parent changed and
stops by itself (`follow_parent`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import IO, NoReturn

import structlog

STOP_AFTER_S = 30.0
WATCH_EVERY_S = 1.0
RESTART_AFTER_S = 3.0

log = structlog.get_logger()


class Children:
    """The processes that a command has started, last in first out."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []
        self._supervisors: list[threading.Thread] = []
        self._stopping = threading.Event()

    def start(
        self, *arguments: str, environment: Mapping[str, str] | None = None, log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Run `python -m unwrite …` as a child that follows this process; output goes to `log` if given."""
        command = [sys.executable, "-m", "unwrite", *arguments, "--follow", str(os.getpid())]
        child = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        return self.adopt(child)

    def keep_workers(self, count: int) -> None:
        """Keep model workers that share the cores out: two with one thread each do more than one with two.

        The first keeps the clock. `OMP_NUM_THREADS` is left alone where it is set.
        """
        threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // max(1, count)))
        for number in range(count):
            clock = "--beat" if number == 0 else "--no-beat"
            self.keep("work", clock, environment={"OMP_NUM_THREADS": threads})

    def keep(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start a child like `start`, and start it again whenever it ends before `stop` is called."""

        def supervise() -> None:
            child = self.start(*arguments, environment=environment)
            while not self._stopping.wait(1.0):
                if child.poll() is not None:
                    self._running.remove(child)
                    log.warning("child ended, starting it again", child=arguments[0], status=child.returncode)
                    if self._stopping.wait(RESTART_AFTER_S):
                        return
                    child = self.start(*arguments, environment=environment)

        self._supervisors.append(threading.Thread(target=supervise, name=f"keep-{arguments[0]}", daemon=True))
        self._supervisors[-1].start()

    def adopt(self, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Take over a process that was started elsewhere."""
        self._running.append(child)
        return child

    def ended(self) -> int | None:
        """The exit status of a child that is no longer running, if there is one."""
        return next((status for child in self._running if (status := child.poll()) is not None), None)

    def stop(self, timeout_s: float = STOP_AFTER_S) -> None:
        """Ask all children to stop, wait, and kill those that did not within the time."""
        self._stopping.set()
        for supervisor in self._supervisors:
            supervisor.join()
        children = self._running[::-1]
        for child in children:
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + timeout_s
        for child in children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._running.clear()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def follow_parent(pid: int) -> None:
    """Stop this process (SIGTERM to itself) as soon as `pid` is no longer its parent."""

    def watch() -> None:
        while os.getppid() == pid:
            time.sleep(WATCH_EVERY_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follow-parent", daemon=True).start()


def exit_on_sigterm() -> None:
    """Turn SIGTERM into SystemExit, so that `finally` blocks run."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
