"""A checkpoint is whole, for this decoder, or refused with a reason."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from larimar import Larimar
from larimar.checkpoint import MANIFEST, WEIGHTS, load, save
from larimar.config import LarimarConfig
from larimar.errors import CheckpointCorrupt, CheckpointMismatch


@pytest.fixture
def copied(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def test_what_is_saved_is_loaded(copied: Path, tmp_path: Path) -> None:
    first = load(copied)
    save(tmp_path / "again", first)
    second = load(tmp_path / "again")
    assert second.config == first.config
    assert all(second.tensors[name].equal(first.tensors[name]) for name in first.tensors)


def test_a_truncated_file_is_refused(copied: Path) -> None:
    data = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointCorrupt, match="truncated or changed"):
        load(copied)


def test_one_flipped_bit_is_found(copied: Path) -> None:
    data = bytearray((copied / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (copied / WEIGHTS).write_bytes(data)
    with pytest.raises(CheckpointCorrupt):
        load(copied)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_a_broken_manifest_is_refused(copied: Path, text: str) -> None:
    (copied / MANIFEST).write_text(text)
    with pytest.raises(CheckpointCorrupt):
        load(copied)


def test_a_missing_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointCorrupt, match="no checkpoint"):
        Larimar.load(tmp_path / "nowhere")


def test_a_file_is_no_checkpoint(copied: Path) -> None:
    with pytest.raises(CheckpointCorrupt, match="no checkpoint"):
        load(copied / WEIGHTS)


@pytest.mark.parametrize("whole", [1, 2])
def test_after_a_crash_before_either_move_one_of_the_checkpoints_is_whole(
    copied: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    first, moves = load(copied), []
    second = replace(first, tensors={name: t + 1 for name, t in first.tensors.items()})

    def cut(source: Path, target: Path) -> None:
        moves.append(target.name)
        if len(moves) == whole:
            raise KeyboardInterrupt
        source.rename(target)

    with monkeypatch.context() as crash:
        crash.setattr("larimar.checkpoint.os.replace", cut)
        with pytest.raises(KeyboardInterrupt):
            save(copied, second)
    expected = first if whole == 1 else second
    found = load(copied)
    assert all(found.tensors[name].equal(expected.tensors[name]) for name in first.tensors)
    save(copied, second)
    assert not (copied / f"{MANIFEST}.new").exists()
    assert all(load(copied).tensors[name].equal(t) for name, t in second.tensors.items())


def test_a_manifest_that_a_crash_left_by_halves_does_no_harm(copied: Path) -> None:
    (copied / f"{MANIFEST}.new").write_text("{")
    load(copied)


def test_a_newer_format_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    (copied / MANIFEST).write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointMismatch, match="format 99"):
        load(copied)


def test_an_edited_configuration_is_refused(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text())
    manifest["config"]["slots"] = 32
    (copied / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CheckpointMismatch, match="edited"):
        load(copied)


def test_a_checkpoint_for_another_decoder_is_refused(copied: Path, tmp_path: Path) -> None:
    first = load(copied)
    save(tmp_path / "other", replace(first, config=replace(first.config, decoder="smollm2-135m-instruct")))
    with pytest.raises(CheckpointMismatch, match="another decoder"):
        Larimar.load(tmp_path / "other", device="cpu")


def test_weights_that_are_not_finite_are_refused(copied: Path, tmp_path: Path) -> None:
    first = load(copied)
    broken = first.tensors | {"opening": first.tensors["opening"] * float("nan")}
    save(tmp_path / "broken", replace(first, tensors=broken))
    with pytest.raises(CheckpointCorrupt, match="not finite"):
        Larimar.load(tmp_path / "broken", device="cpu")


def test_a_checkpoint_for_another_way_of_training_is_refused(copied: Path, tmp_path: Path) -> None:
    first = load(copied)
    save(tmp_path / "other", replace(first, config=replace(first.config, train_decoder="none")))
    with pytest.raises(CheckpointMismatch):
        Larimar.load(tmp_path / "other", device="cpu")


def test_a_configuration_of_the_first_version_keeps_its_hash() -> None:
    """Ledgers and checkpoints are bound to it."""
    first = "78591102711219250387aa8b5736fc86b39219b62ddb80eea7579bf3a79625c6"
    assert LarimarConfig().config_hash() == first
    assert replace(LarimarConfig(), train_decoder="full").config_hash() != first
