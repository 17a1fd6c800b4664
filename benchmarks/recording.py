"""Where benchmark figures go, and what they were measured on."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def write_result(name: str, result: dict[str, object]) -> Path:
    """Write `results/NAME.json`; returns its path."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path


def environment() -> dict[str, object]:
    """Package versions, processor and commit of this run."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "versions": {
            name: version(name) for name in ("torch", "transformers", "sentence-transformers", "peft")
        },
        "machine": f"{platform.machine()}, {_processor()}",
        "commit": commit.stdout.strip(),
    }


def _processor() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1] for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return f"{len(names)} x {names[0].strip()}" if names else platform.processor()
