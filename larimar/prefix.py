"""One extra key and value for each attention layer of a decoder: how the paper's decoder sees a latent.

The pair stands at place 0 of a key/value cache that is there before the first token. Rotary embeddings turn
keys before they are cached, so this key is free of position, as in the paper's GPT-J variant. Sizes are
asked of the decoder itself, so any architecture with a `DynamicCache` will do.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class FixedLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer that every pass finds as it was: a layer may be computed twice (gradient checkpointing)."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """The extra pair before the new keys and values, which are not kept."""
        keys, values = self.keys.to(key_states.dtype), self.values.to(value_states.dtype)
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)


def cache_shape(model: Any) -> tuple[int, int, int]:
    """Layers L, key/value heads H and head size D of a decoder, from one token's cache."""
    token = torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    with torch.no_grad():
        layers = model.base_model(input_ids=token, use_cache=True).past_key_values.layers
    return len(layers), layers[0].keys.shape[1], layers[0].keys.shape[3]


def extra_pair(past: Tensor, dtype: torch.dtype, *, fixed: bool = False) -> DynamicCache:
    """The cache that holds `past` (N, L, 2, H, D), one key and value a layer; with `fixed` it does not grow."""
    cache = DynamicCache()
    for layer in past.to(dtype).unbind(dim=1):
        made = FixedLayer() if fixed else DynamicLayer()
        keys, values = layer.unsqueeze(-2).unbind(dim=1)
        made.lazy_initialization(keys, values)
        made.keys, made.values = keys, values
        cache.layers.append(made)
    return cache
