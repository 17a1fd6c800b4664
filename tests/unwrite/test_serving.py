"""`unwrite serve`: one command starts web, worker and beat, and takes all of them with it when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner

from unwrite import processes
from unwrite.cli import main
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


def test_a_busy_port_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(processes.Children, "keep_workers", lambda children, count: started.append(count))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        done = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert done.exit_code == 1
    assert f"Port {port} is in use" in done.output
    assert "--port" in done.output
    assert "Unwrite: http" not in done.output
    assert "localhost   " not in done.output, "passwords that are shown once belong to a server that runs"
    assert started == []


def test_an_address_of_another_machine_is_told() -> None:
    for host in ("203.0.113.1", "no.such.host.invalid"):
        done = CliRunner().invoke(main, ["serve", "--workers", "0", "--host", host])
        assert done.exit_code == 1
        assert f"Cannot listen on {host}" in done.output


def test_port_0_is_any_free_port_and_the_address_says_which(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("unwrite.serving.serve_web", lambda settings, database, sockets: None)
    done = CliRunner().invoke(main, ["serve", "--workers", "0", "--port", "0"])
    assert done.exit_code == 0, done.output
    port = int(done.output.split("http://127.0.0.1:")[1].split()[0])
    assert port not in {0, 8765}
