"""A BERT over texts of any length without a padded position: the scope detector's encoder and its judge.

All tokens of a batch lie end to end in one matrix, so linear layers see nothing but tokens; attention is taken
by groups of texts of the same length. What a text becomes does not depend on the others in its batch, except for
the last bits where BLAS chooses another kernel. Products are in the format the processor is fast with
(`precision`); the residual stream and its norms stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertModel

from larimar.precision import fast_dtype

_TOKENS = 2_048
"""Tokens that are computed together: more do not stay in the processor's caches."""


@dataclass(frozen=True)
class Group:
    """Texts of the same length."""

    at: list[int]
    """their places in what was asked for"""
    hidden: Tensor
    """last hidden states (n, T, D) float32"""


class _Linear:
    """A linear layer's weights in the format of the products."""

    def __init__(self, dtype: torch.dtype, *layers: nn.Linear) -> None:
        """Several layers of one input become one of all their outputs."""
        self.weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
        self.bias = torch.cat([layer.bias.detach() for layer in layers]).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (N, out) in that format of inputs (N, in)."""
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class _Layer:
    """One layer of the transformer."""

    def __init__(self, layer: Any, heads: int, dtype: torch.dtype) -> None:
        """`layer`: a `BertLayer`."""
        own, out = layer.attention.self, layer.attention.output
        self.heads, self.first_norm, self.second_norm = heads, out.LayerNorm, layer.output.LayerNorm
        self.asked = _Linear(dtype, own.query, own.key, own.value)
        self.mixed = _Linear(dtype, out.dense)
        self.wide = _Linear(dtype, layer.intermediate.dense)
        self.narrow = _Linear(dtype, layer.output.dense)

    def __call__(self, x: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Hidden states (tokens, D) float32 after the layer; `sizes`: texts and length of each group."""
        parts = self.asked(x).split([texts * length for texts, length in sizes])
        attended = torch.cat([self._attend(p, *size) for p, size in zip(parts, sizes, strict=True)])
        x = self.first_norm(x + self.mixed(attended))
        normed: Tensor = self.second_norm(x + self.narrow(F.gelu(self.wide(x))))
        return normed

    def _attend(self, asked: Tensor, texts: int, length: int) -> Tensor:
        """Attention (texts · length, D) of texts of one length from queries, keys and values side by side."""
        query, key, value = asked.view(texts, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(query, key, value)
        return found.transpose(1, 2).reshape(texts * length, -1)


class Unpadded:
    """The layers of a `BertModel` for inference; its weights are taken as they are now."""

    def __init__(self, bert: BertModel, dtype: torch.dtype | None = None) -> None:
        """`dtype`: of the products; None: what the device is fast with."""
        self._embeddings, heads = bert.embeddings, bert.config.num_attention_heads
        self._device = bert.embeddings.word_embeddings.weight.device
        dtype = dtype or fast_dtype(str(self._device))
        self._layers = [_Layer(layer, heads, dtype) for layer in bert.encoder.layer]

    @staticmethod
    def fits(model: Any) -> bool:
        """Whether a model is computed as this class does it."""
        if not isinstance(model, BertModel):
            return False
        config = model.config
        plain = not (config.is_decoder or config.add_cross_attention)
        return plain and config.hidden_act == "gelu" and not model.training

    @torch.inference_mode()
    def groups(
        self, tokens: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]] | None = None
    ) -> Iterator[Group]:
        """Hidden states of texts by their token ids and token type ids (None: all zero), shortest first."""
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        for batch in _batches(order, [len(text) for text in tokens]):
            groups = [list(same) for _, same in groupby(batch, key=lambda i: len(tokens[i]))]
            sizes = [(len(at), len(tokens[at[0]])) for at in groups]
            x = self._embedded([tokens[i] for i in batch], kinds and [kinds[i] for i in batch])
            for layer in self._layers:
                x = layer(x, sizes)
            for at, part in zip(groups, x.split([n * length for n, length in sizes]), strict=True):
                yield Group(at, part.view(len(at), -1, part.shape[1]))

    def _embedded(self, tokens: Sequence[Sequence[int]], kinds: Sequence[Sequence[int]] | None) -> Tensor:
        """What the first layer sees (tokens, D) of texts end to end."""
        ids = [token for text in tokens for token in text]
        places = [place for text in tokens for place in range(len(text))]
        types = [kind for text in kinds for kind in text] if kinds else [0] * len(ids)
        rows = torch.tensor([ids, places, types], device=self._device)
        own = self._embeddings
        summed = own.word_embeddings(rows[0]) + own.token_type_embeddings(rows[2])
        normed: Tensor = own.LayerNorm(summed + own.position_embeddings(rows[1]))
        return normed


def _batches(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Texts in their order, as many at a time as have `_TOKENS` tokens."""
    batch: list[int] = []
    taken = 0
    for i in order:
        if batch and taken + lengths[i] > _TOKENS:
            yield batch
            batch, taken = [], 0
        batch.append(i)
        taken += lengths[i]
    if batch:
        yield batch
