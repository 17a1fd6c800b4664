"""Checkpoints: a directory with `model.safetensors` and a manifest that says what it is and what it fits.

The manifest holds the configuration, its hash, the digest of the weights file and how it was trained. Both
files are written beside the old ones and then moved into place one after the other. A crash while they are written
leaves the old checkpoint whole; after one between the two moves `load` takes the manifest that fits the weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from larimar.config import LarimarConfig
from larimar.errors import CheckpointCorrupt, CheckpointMismatch, LarimarError

WEIGHTS, MANIFEST, FORMAT = "model.safetensors", "manifest.json", 1
_COMING = f"{MANIFEST}.new"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: tensors by name, the configuration, and notes on the training."""

    tensors: dict[str, Tensor]
    config: LarimarConfig
    training: dict[str, object]


def default_directory() -> Path:
    """The checkpoint that ships with the package."""
    return Path(str(resources.files("larimar"))) / "checkpoints" / "default"


def save(directory: Path, checkpoint: Checkpoint) -> None:
    """Write weights, then the manifest that names their digest; whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f"{WEIGHTS}.new"
    save_file({name: t.contiguous().cpu() for name, t in checkpoint.tensors.items()}, fresh)
    manifest = {
        "format": FORMAT,
        "config": asdict(checkpoint.config),
        "config_hash": checkpoint.config.config_hash(),
        "sha256": _digest(fresh),
        "training": checkpoint.training,
    }
    fresh_manifest = directory / _COMING
    fresh_manifest.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, directory / WEIGHTS)
    os.replace(fresh_manifest, directory / MANIFEST)


def load(directory: Path) -> Checkpoint:
    """Read and verify a checkpoint directory. Raises CheckpointCorrupt or CheckpointMismatch."""
    weights = directory / WEIGHTS
    digest = _digest(weights) if weights.exists() else ""
    manifest = _fitting(directory, digest)
    config = LarimarConfig(**manifest["config"])  # type: ignore[arg-type]
    if manifest["config_hash"] != config.config_hash():
        raise CheckpointMismatch(f"the configuration in {directory / MANIFEST} was edited after training")
    if digest != manifest["sha256"]:
        raise CheckpointCorrupt(f"{weights} is missing, truncated or changed; get the checkpoint again")
    try:
        tensors = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise CheckpointCorrupt(f"{weights} is no safetensors file; get the checkpoint again") from error
    return Checkpoint(tensors, config, dict(manifest["training"]))  # type: ignore[call-overload]


def _fitting(directory: Path, digest: str) -> dict[str, object]:
    """The manifest; where only the one that a crash kept from its place names the weights' digest, that one."""
    for path in (directory / MANIFEST, directory / _COMING):
        if path.exists() and (manifest := _manifest(path))["sha256"] == digest:
            return manifest
    return _manifest(directory / MANIFEST)


def _manifest(path: Path) -> dict[str, object]:
    """A manifest's fields, all present."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        missing = {"format", "config", "config_hash", "sha256", "training"} - set(manifest)
        if missing:
            raise CheckpointCorrupt(f"{path} lacks {', '.join(sorted(missing))}")
        if manifest["format"] != FORMAT:
            raise CheckpointMismatch(f"{path} has format {manifest['format']}, this version reads {FORMAT}")
        LarimarConfig(**manifest["config"])
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise CheckpointCorrupt(f"no checkpoint at {path.parent}: {path.name} {reason}") from error
    except LarimarError:
        raise
    except (ValueError, TypeError) as error:
        raise CheckpointCorrupt(f"{path} is not a readable manifest; get the checkpoint again") from error
    return dict(manifest)


def _digest(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
