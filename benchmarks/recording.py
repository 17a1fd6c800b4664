"""Where benchmark figures go, what they were measured on, and how a stopped run goes on.

Every result file names its `rows`: what was measured next to the paper's number, the target and, where there
is one, the base decoder's number. `python -m benchmarks.summary` makes `docs/benchmarks.md` of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from larimar.checkpoint import MANIFEST, default_directory

RESULTS = Path(__file__).parent / "results"

Figure = float | str | None


@dataclass(frozen=True)
class Row:
    """One line of `docs/benchmarks.md`. A figure is a number or a short text; None where there is none."""

    name: str
    paper: Figure
    reach: Figure
    """the target, such as «≥ 96»"""
    measured: Figure
    base: Figure = None
    """the same of the base decoder"""


def write_result(
    name: str, result: dict[str, object], *, rows: Sequence[Row], command: str, directory: Path = RESULTS
) -> Path:
    """Write `NAME.json`; returns its path. `command`: how to repeat it, see `make_command`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    whole = {**result, "command": command, "rows": [asdict(row) for row in rows], **environment()}
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def parser(module: str, about: str) -> argparse.ArgumentParser:
    """Arguments that every benchmark takes: the checkpoint, and where the result goes."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=about.split("\n")[0])
    made.add_argument("--checkpoint", type=Path, help="a checkpoint directory; default: the shipped one")
    made.add_argument("--results", type=Path, default=RESULTS, help="directory of the result file")
    return made


def make_command(target: str, options: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """How to repeat a run: `make TARGET ARGS="…"` with what is not the default, of a path the name alone, or DIR."""
    given = {name: value for name, value in vars(arguments).items() if value != options.get_default(name)}
    given.pop("results", None)
    words = [word for name, value in given.items() for word in _option(name, value)]
    return f"make {target}" + (f' ARGS="{" ".join(words)}"' if words else "")


def _option(name: str, value: Any) -> list[str]:
    """An argument as it is typed: a switch has no value, a list has several."""
    values = [] if value is True else value if isinstance(value, list | tuple) else [value]
    return [f"--{name.replace('_', '-')}", *(shlex.quote(_without_place(one)) for one in values)]


def _without_place(value: Any) -> str:
    """A value as text; where it names a file or a directory of this machine, nothing tells where that lies."""
    path = Path(str(value))
    named = isinstance(value, Path) or (isinstance(value, str) and (path.is_absolute() or path.exists()))
    return ("DIR" if path.is_dir() else path.name) if named else str(value)


class Journal:
    """What a long run has done so far, one JSON a line beside its result, so that a stopped run goes on."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        """Take up the file at `path` when it was made with the same `settings` at the same commit, else begin anew."""
        self._path, settings = path, {**settings, "commit": _commit()}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        self.rows: list[dict[str, Any]] = whole[1:] if whole and whole[0] == settings else []
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [settings, *self.rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows; they are on the disk when this returns."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        self.rows += rows

    def close(self) -> None:
        """Remove the file: the result holds what it held."""
        self._path.unlink()


def checkpoint_digest(directory: Path | None) -> str:
    """SHA-256 (hex) of a checkpoint's manifest, which names its weights; None is the shipped checkpoint."""
    return file_digest((directory or default_directory()) / MANIFEST)


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def environment() -> dict[str, object]:
    """Package versions, processor, GPU and commit of this run; `UNWRITE_COMMIT` tells it where no `.git` is."""
    return {
        "versions": {
            name: version(name) for name in ("torch", "transformers", "sentence-transformers", "peft")
        },
        "machine": f"{platform.machine()}, {_processor()}{_gpu()}",
        "commit": _commit(),
    }


def _commit() -> str:
    """The commit that is checked out."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or os.environ.get("UNWRITE_COMMIT", "")


def _gpu() -> str:
    """The GPU that models are loaded to, if there is one."""
    return f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""


def _processor() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1] for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return f"{len(names)} x {names[0].strip()}" if names else platform.processor()
