"""`unwrite serve`: one command starts web, worker and beat, and takes all of them with it when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from unwrite.demo import free_port

PORT = free_port()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "unwrite", "serve", "--port", str(PORT)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it is ignored
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        yield process
        process.kill()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("the web server did not come up")


def family(pid: int, wanted: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while len(found := psutil.Process(pid).children(recursive=True)) < wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(found) == wanted
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running(server: subprocess.Popen[str], how: signal.Signals) -> None:
    wait_until_ready(f"http://127.0.0.1:{PORT}")
    children = family(server.pid, wanted=2)
    os.kill(server.pid, how)
    server.wait(30)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    if how is not signal.SIGKILL:
        assert server.stdout is not None
        said = server.stdout.read()
        assert "reviewer@localhost" in said
        assert f"http://127.0.0.1:{PORT}" in said
