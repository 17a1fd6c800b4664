"""Small real parts for the model tests: the tiny random decoder with a fresh reader, and the shipped model."""

from pathlib import Path

import pytest
import torch

from larimar.checkpoint import Checkpoint, save
from larimar.config import preset
from larimar.encoders import build_reader
from larimar.model import Larimar
from larimar.weights import load_decoder


def export_untrained(directory: Path, name: str = "tiny") -> Path:
    """A checkpoint of an untrained reader whose LoRA is not zero, so that reading differs from the base."""
    config = preset(name)
    base, tokenizer = load_decoder(config.decoder)
    reader = build_reader(base, tokenizer, config, trainable=True)
    noise = torch.Generator().manual_seed(1)
    lora = {
        n: 0.05 * torch.randn(p.shape, generator=noise).bfloat16()
        for n, p in reader.decoder_parameters().items()
    }
    tensors = reader.tensors() | lora
    save(directory, Checkpoint(tensors, config, {"steps": 0}))
    return directory


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_untrained(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Path) -> Larimar:
    return Larimar.load(tiny_checkpoint, device="cpu")


@pytest.fixture(scope="session")
def pooled_model(tmp_path_factory: pytest.TempPathFactory) -> Larimar:
    """The tiny model with the paper's encoder."""
    return Larimar.load(export_untrained(tmp_path_factory.mktemp("pooled"), "tiny-pooled"), device="cpu")


@pytest.fixture
def tiny(tiny_model: Larimar) -> Larimar:
    """The tiny model with an empty bank."""
    return tiny_model.with_bank()


@pytest.fixture(scope="session")
def shipped_model() -> Larimar:
    return Larimar.load(device="cpu")


@pytest.fixture
def shipped(shipped_model: Larimar) -> Larimar:
    """The shipped model with an empty bank."""
    return shipped_model.with_bank()
