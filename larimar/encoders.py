"""Encoders by name: which reader a configuration's `encoder` means."""

from __future__ import annotations

from typing import Any

from larimar.config import LarimarConfig
from larimar.pooled import PooledReader
from larimar.reader import Reader
from larimar.slots import SlotReader

READERS: dict[str, type[Reader]] = {"slots": SlotReader, "pooled": PooledReader}


def build_reader(base: Any, tokenizer: Any, config: LarimarConfig, *, trainable: bool = False) -> Reader:
    """The untrained reader of a configuration around a copy of `base`."""
    return READERS[config.encoder](base, tokenizer, config, trainable=trainable)
