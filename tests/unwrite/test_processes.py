"""Child processes: stopped in any case, also when the command that started them is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

import psutil
import pytest

from unwrite import processes
from unwrite.processes import Children

COMMAND = """
import sys, time
from unwrite import processes
child = [sys.executable, "-c", "import sys, time; from unwrite.processes import follow_parent; "
         "follow_parent(int(sys.argv[1])); print('up', flush=True); time.sleep(60)"]
import os, subprocess
process = subprocess.Popen([*child, str(os.getpid())], start_new_session=True)
print(process.pid, flush=True)
time.sleep(60)
"""


DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def gone(pid: int, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        pid = int((lines - {"up"}).pop())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert gone(pid, within_s=10)


def test_stop_kills_a_child_that_does_not_listen() -> None:
    children = Children()
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    children.adopt(process)
    children.stop(timeout_s=0.5)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("available", "count", "threads"), [(2, 2, "1"), (8, 2, "4"), (2, 1, "2"), (1, 3, "1"), (2, 0, None)]
)
def test_workers_share_the_cores_out_and_one_keeps_the_clock(
    monkeypatch: pytest.MonkeyPatch, available: int, count: int, threads: str | None
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processes, "cores", lambda: available)
    kept: list[tuple[tuple[str, ...], Mapping[str, str]]] = []
    children = Children()
    monkeypatch.setattr(children, "keep", lambda *told, environment: kept.append((told, environment)))
    children.keep_workers(count)

    assert [told for told, _ in kept] == [("work", "--beat"), *[("work", "--no-beat")] * 2][:count]
    assert all(environment == {"OMP_NUM_THREADS": threads} for _, environment in kept)
