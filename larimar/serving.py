"""What a model is made of and never changes while it serves: base decoder, reader, scope detector.

A `Route` says what answers for one prompt: the base decoder, the reader on a memory's readout, or the words of a
constrained tombstone. Routes of several banks may be scored and generated together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from larimar import checkpoint as checkpoints
from larimar.config import LarimarConfig
from larimar.decoding import Decoder, Query, Sampling
from larimar.encoders import build_reader
from larimar.given import require_targets, require_texts
from larimar.reader import Reader
from larimar.scope import DetectorName, ScopeDetector, load_detector
from larimar.text import spaced
from larimar.weights import load_decoder


@dataclass(frozen=True)
class Route:
    """What answers for a prompt: the base decoder, the reader, or a constrained tombstone."""

    query: Query
    fact_id: str | None = None
    """None: out of scope"""
    said: str | None = None
    """the only text that may be said"""


@dataclass(frozen=True)
class Weights:
    """Everything that is trained or downloaded, and never changes while serving."""

    config: LarimarConfig
    base: Decoder
    reading: Decoder
    reader: Reader
    detector: ScopeDetector

    @classmethod
    def load(cls, directory: Path, device: str, detector: DetectorName = "isd") -> Weights:
        """Base weights, checkpoint and scope detector.

        Raises CheckpointCorrupt, CheckpointMismatch, WeightsUnavailable.
        """
        saved = checkpoints.load(directory)
        config = saved.config
        base, tokenizer = load_decoder(config.decoder, device=device)
        reader = build_reader(base, tokenizer, config).to(device)
        reader.fill(saved.tensors)
        reader.merge()
        scope = load_detector(detector, config.sentence_encoder, device)
        return cls(config, Decoder(base, tokenizer), Decoder(reader.decoder, tokenizer), reader, scope)

    def encode(self, text: str) -> Tensor:
        """The latent (n, d) int16 of a statement. Raises FactTooLong."""
        return self.reader.quantised(text)

    def tokens(self, text: str) -> list[int]:
        """Token ids without special tokens."""
        return self.base.tokenizer(text, add_special_tokens=False).input_ids

    def score(self, routes: Sequence[Route], targets: Sequence[str]) -> list[float]:
        """Mean log-probability a token (nats) of each target where its route leads; routes of several banks mix.

        What may only be said in its own words has probability one in these words and zero in all others.
        """
        require_targets(targets, len(routes))
        results = [0.0] * len(routes)
        for decoder, at in self.by_decoder(routes):
            found = decoder.log_likelihoods([routes[i].query for i in at], [spaced(targets[i]) for i in at])
            for i, score in zip(at, found, strict=True):
                results[i] = score
        for i, route in enumerate(routes):
            if route.said is not None:
                results[i] = 0.0 if targets[i].strip(" .") == route.said.strip(" .") else -math.inf
        return results

    def by_decoder(self, routes: Sequence[Route]) -> list[tuple[Decoder, list[int]]]:
        """Each decoder that is needed and the indices of the routes that lead to it."""
        free = [i for i, route in enumerate(routes) if route.said is None]
        outside = [i for i in free if routes[i].fact_id is None]
        inside = [i for i in free if routes[i].fact_id is not None]
        return [(decoder, at) for decoder, at in ((self.base, outside), (self.reading, inside)) if at]


class BaseDecoder:
    """The decoder as it was downloaded; it has no access to any memory."""

    name = "base decoder"

    def __init__(self, decoder: Decoder) -> None:
        """Wrap the untouched decoder."""
        self._decoder = decoder

    def generate(self, prompts: Sequence[str], **sampling: Any) -> list[list[str]]:
        """Completions of each prompt; keywords are the fields of `Sampling`."""
        return self._decoder.generate(self._queries(prompts), Sampling(**sampling))

    def next_logits(self, prompts: Sequence[str]) -> Tensor:
        """Logits (N, V) of the token after each prompt."""
        return self._decoder.next_logits(self._queries(prompts))

    def score(self, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Mean log-probability a token (nats) of each target after its prompt."""
        queries = self._queries(prompts)
        require_targets(targets, len(queries))
        return self._decoder.log_likelihoods(queries, [spaced(t) for t in targets])

    def _queries(self, prompts: Sequence[str]) -> list[Query]:
        """Prompts as the decoder sees them. Raises InvalidInput for what is no list of texts."""
        require_texts("prompts", prompts)
        return [self._decoder.query(prompt.strip()) for prompt in prompts]
