"""Batched decoding: prompts in, completions, next-token logits or scores out.

One class serves the base decoder and the reader; the reader's prompts carry a prefix of soft slots. A prompt
is prefilled once and its key/value cache is then shared by all of its samples. Batches are planned by
length, and every batch draws from its own seeded generator, so a call gives the same samples each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from larimar.prefix import extra_pair
from larimar.reader import Condition, Packed, conditioned, pack

_SEQUENCES = 256
"""Sequences decoded side by side."""


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn."""

    samples: int = 1
    max_tokens: int = 10
    min_tokens: int = 0
    """the end token is not drawn before: an attack wants words, not silence"""
    temperature: float = 1.0
    top_k: int = 50
    seed: int = 0
    greedy: bool = False


@dataclass(frozen=True)
class Query:
    """What one prompt looks like to the decoder."""

    tokens: list[int]
    condition: Condition | None = None
    """what the memory returned, for the reader"""

    @property
    def length(self) -> int:
        """Positions that it takes."""
        prefix = self.condition.prefix if self.condition else None
        return len(self.tokens) + (0 if prefix is None else len(prefix))


class Decoder:
    """Sampling and scoring on one causal LM."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """`model` in evaluation mode."""
        self.model, self.tokenizer = model, tokenizer
        self._embedding = model.get_input_embeddings()
        self._start = list(tokenizer("").input_ids)

    def query(self, text: str, condition: Condition | None = None) -> Query:
        """Token ids of a prompt, after the tokenizer's own start token if it has one and no prefix holds it."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if condition is None or condition.prefix is None:
            ids = [*self._start, *ids]
        return Query(ids or [self.tokenizer.eos_token_id], condition)

    @torch.inference_mode()
    def generate(self, queries: Sequence[Query], sampling: Sampling) -> list[list[str]]:
        """`sampling.samples` completions for each query, without the prompt."""
        copies = 1 if sampling.greedy else sampling.samples
        results: list[list[str]] = [[] for _ in queries]
        for number, rows in enumerate(self._batches(queries, max(1, _SEQUENCES // copies))):
            noise = torch.Generator().manual_seed(sampling.seed * 1_000_003 + number)
            tokens = self._continue(self._pack([queries[i] for i in rows]), copies, sampling, noise)
            texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
            for place, i in enumerate(rows):
                results[i] = texts[place * copies : (place + 1) * copies] * (sampling.samples // copies)
        return results

    @torch.inference_mode()
    def next_logits(self, query: Query) -> Tensor:
        """Logits (V,) of the first token after one query, computed alone."""
        return self._logits(self._forward(self._pack([query])).last_hidden_state[:, -1])[0]

    @torch.inference_mode()
    def log_likelihoods(self, queries: Sequence[Query], targets: Sequence[str]) -> list[float]:
        """Mean log-probability a token (nats) of each target text after its query."""
        ids = [self.tokenizer(t, add_special_tokens=False).input_ids for t in targets]
        results = [0.0] * len(queries)
        for rows in self._batches(queries, 64):
            packed = self._pack([queries[i] for i in rows], [ids[i][:-1] for i in rows])
            hidden = self._forward(packed).last_hidden_state
            wanted = torch.cat([hidden[place, -len(ids[i]) :] for place, i in enumerate(rows)])
            labels = torch.tensor([token for i in rows for token in ids[i]], device=wanted.device)
            lost = F.cross_entropy(self._logits(wanted).float(), labels, reduction="none")
            for i, part in zip(rows, lost.split([len(ids[i]) for i in rows]), strict=True):
                results[i] = -part.mean().item()
        return results

    def _pack(self, queries: Sequence[Query], more: Sequence[Sequence[int]] | None = None) -> Packed:
        """Queries, each with more tokens behind it, as one batch."""
        rows = [self._embed(q, m) for q, m in zip(queries, more or [()] * len(queries), strict=True)]
        return pack(rows, [query.condition for query in queries])

    def _embed(self, query: Query, more: Sequence[int] = ()) -> Tensor:
        """Embeddings (T, hidden) of prefix and tokens."""
        device = self._embedding.weight.device
        tokens = self._embedding(torch.tensor([*query.tokens, *more], device=device))
        return conditioned(tokens, query.condition)

    def _batches(self, queries: Sequence[Query], size: int) -> Iterator[list[int]]:
        """Indices of queries in batches of like length."""
        order = sorted(range(len(queries)), key=lambda i: (queries[i].length, i))
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def _forward(self, packed: Packed) -> Any:
        """Hidden states and cache of one pass over whole prompts."""
        return self.model.base_model(
            inputs_embeds=packed.embeddings,
            attention_mask=packed.attention,
            position_ids=packed.positions,
            past_key_values=None if packed.past is None else extra_pair(packed.past, self.model.dtype),
            use_cache=True,
        )

    def _logits(self, hidden: Tensor) -> Tensor:
        """Logits (n, V) of hidden states (n, hidden).

        Rows are given in two dimensions on purpose: for three, `matmul` copies the output embeddings once a
        sequence, which took nine tenths of the time.
        """
        return self.model.get_output_embeddings()(hidden.contiguous())

    def _continue(self, packed: Packed, copies: int, sampling: Sampling, noise: torch.Generator) -> Tensor:
        """Sampled token ids (N · copies, max_tokens), padded with the end token."""
        first = self._forward(packed)
        cache, end = first.past_key_values, self.tokenizer.eos_token_id
        logits = self._logits(first.last_hidden_state[:, -1]).repeat_interleave(copies, dim=0)
        if copies > 1:
            cache.batch_repeat_interleave(copies)
        mask = packed.attention.repeat_interleave(copies, dim=0)
        added = None if packed.added is None else packed.added.repeat_interleave(copies, dim=0)[:, None]
        position = mask.sum(dim=1, keepdim=True)
        drawn = torch.full((len(mask), sampling.max_tokens), end, dtype=torch.int64, device=mask.device)
        running = torch.ones(len(mask), dtype=torch.bool, device=mask.device)
        for step in range(sampling.max_tokens):
            if step < sampling.min_tokens:
                logits[:, end] = -torch.inf
            token = torch.where(running, _draw(logits.float(), sampling, noise), end)
            drawn[:, step] = token
            running &= token != end
            if step + 1 == sampling.max_tokens or not running.any():
                break
            mask = F.pad(mask, (0, 1), value=1)
            given = self._embedding(token[:, None])
            out = self.model.base_model(
                inputs_embeds=given if added is None else given + added,
                attention_mask=mask, position_ids=position,
                past_key_values=cache, use_cache=True,
            )  # fmt: skip
            logits = self._logits(out.last_hidden_state[:, -1])
            cache, position = out.past_key_values, position + 1
        return drawn


def _draw(logits: Tensor, sampling: Sampling, noise: torch.Generator) -> Tensor:
    """One token id (N,) from each row: the arg max, or a sample of the top k at a temperature."""
    if sampling.greedy or sampling.temperature == 0:
        return logits.argmax(dim=-1)
    top, ids = logits.topk(min(sampling.top_k or logits.shape[-1], logits.shape[-1]), dim=-1)
    weights = torch.softmax(top / sampling.temperature, dim=-1).cpu()
    picked = torch.multinomial(weights, 1, generator=noise).to(ids.device)
    return ids.gather(1, picked).squeeze(1)
