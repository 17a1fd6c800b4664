"""Where a training run comes from: commit, versions, command; written once into the run directory."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path


def provenance() -> dict[str, object]:
    """Commit of the checkout that the package lies in, whether it had changes, versions and command line."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "uncommitted_changes": None if changes is None else bool(changes),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "accelerate")},
        "command": sys.argv,
    }


def _git(*arguments: str) -> str | None:
    """What git says about this file's checkout; None where there is no git or no checkout."""
    try:
        said = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return said.stdout.strip() if said.returncode == 0 else None
