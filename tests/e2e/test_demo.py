"""`unwrite demo` as a newcomer runs it, with one request of each kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from audit.report import validate

pytestmark = [pytest.mark.e2e, pytest.mark.model, pytest.mark.timeout(400)]


def command(home: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "unwrite", "demo", "--facts", "1", "--home", str(home), "--out", str(out)]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "UNWRITE_HOME"}


def running_in(home: Path) -> list[int]:
    processes = psutil.process_iter(["environ"])
    return [p.pid for p in processes if (p.info["environ"] or {}).get("UNWRITE_HOME") == str(home)]


def test_the_demonstration_ends_with_a_table_and_a_report_and_leaves_nothing_running(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    done = subprocess.run(
        command(home, out), env=environment(), capture_output=True, text=True, timeout=380, check=False
    )
    said = done.stdout + done.stderr
    assert "FORGET" in said, said
    assert "CENSOR" in said
    assert "memory equals the never-written one" in said
    forgot, censored = validate((out / "report.json").read_bytes()).groups
    assert forgot.requests[0].state.equal is True
    assert forgot.twin is not None
    assert forgot.after.leaked == forgot.twin.leaked, "nothing but the base decoder's guesses"
    assert forgot.verdict.leaked == 0
    assert censored.kind == "censor"
    check = [sys.executable, "-I", "verify.py", "report.dsse", "trusted.json", "report.html", "report.json"]
    subprocess.run(check, cwd=out, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert running_in(home) == []


def test_ctrl_c_stops_all_that_the_demonstration_started(tmp_path: Path) -> None:
    home = tmp_path / "home"
    # what a shell starts with «&» ignores Ctrl-C
    terminal = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command(home, tmp_path / "out"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=terminal,
    ) as process:
        assert process.stdout is not None
        assert any("Writing" in line for line in process.stdout)
        assert running_in(home) != []
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert running_in(home) == []
