"""The paper's own encoder and conditioning (`pooled`): one vector a text, one key and value a layer.

    z = LN(W_e · BERT(x)[CLS])                           in R^C, C = 768; mean 0, variance 1
    past = W_kv z                                        a key and a value for each layer (separate projections)
    added = W_a z                                        added to every token's embedding

The layer norm is ours: at first a latent only disturbs the decoder, and an encoder that can make it small does so
until all texts have the same one. For the same reason what is added begins twice as large as an embedding.
A latent is one slot of C numbers. Unlike slots of token codes it spells no tokens, so what it holds can only be told
by a decoder that was trained long enough: the paper took 8 A100 GPUs.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from larimar.config import LarimarConfig
from larimar.encoder import freeze_codes
from larimar.errors import FactTooLong
from larimar.prefix import cache_shape
from larimar.reader import Condition, Reader
from larimar.text import spaced
from larimar.weights import load_text_encoder

_ADDED = 2.0
"""Times as large as an embedding is what an untrained reader adds to it."""
LONGEST = 64
"""Tokens of a text that one latent holds (paper, section 4)."""
_LARGEST = 15.0
"""|z| never exceeds it: a ledger keeps numbers within +-16."""


class PooledReader(Reader):
    """A BERT-like encoder and the projections of its latent around one decoder."""

    def __init__(self, base: Any, tokenizer: Any, config: LarimarConfig, *, trainable: bool = False) -> None:
        """See `Reader`; the text encoder is trained too."""
        super().__init__(base, tokenizer, config, trainable=trainable)
        self.text_encoder, self.text_tokenizer = load_text_encoder(config.text_encoder, str(base.device))
        self.shape = cache_shape(base)
        layers, heads, size = self.shape
        width = self.text_encoder.config.hidden_size
        self.to_latent = nn.Linear(width, config.latent_dim, bias=False)
        self.to_past = nn.Linear(config.latent_dim, layers * 2 * heads * size, bias=False)
        embeddings = base.get_input_embeddings().weight
        self.to_added = nn.Linear(config.latent_dim, embeddings.shape[1], bias=False)
        nn.init.normal_(self.to_past.weight, std=0.02)
        usual = embeddings.detach().float().square().mean().sqrt().item()
        nn.init.normal_(self.to_added.weight, std=_ADDED * usual / math.sqrt(config.latent_dim))

    def encode_batch(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """See `Reader`; each text has one occupied slot."""
        batch = self.text_tokenizer(
            [spaced(text) for text in texts], padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        ).to(self.log_sigma_w.device)  # fmt: skip
        pooled = self.text_encoder(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state[:, 0]  # fmt: skip
        latents = nn.functional.layer_norm(self.to_latent(pooled).float(), (self.config.latent_dim,))
        latents = latents.clamp(-_LARGEST, _LARGEST)
        return latents, torch.ones(len(texts), 1, dtype=torch.bool, device=latents.device)

    def background(self, count: int, latents: Tensor, noise: torch.Generator) -> Tensor:
        """Random latents with the mean and the spread of the episode's own."""
        known = latents.detach().float()
        drawn = torch.randn(count, known.shape[1], generator=noise, device=known.device)
        return known.mean(dim=0) + known.std(dim=0) * drawn

    def conditions(self, slots: Tensor, occupied: Tensor) -> list[Condition]:
        """A key and value a layer and an addition to every embedding."""
        latents = slots.flatten(1).to(self.to_past.weight.dtype)
        layers, heads, size = self.shape
        past = self.to_past(latents).view(-1, layers, 2, heads, size)
        return [Condition(past=p, added=a) for p, a in zip(past, self.to_added(latents), strict=True)]

    def quantised(self, text: str) -> Tensor:
        """The statement's latent, one row."""
        if len(self.text_tokenizer(spaced(text)).input_ids) > LONGEST:
            raise FactTooLong(f"the fact has more than the {LONGEST} tokens that one latent holds")
        with torch.inference_mode():
            return freeze_codes(self.encode_batch([text])[0]).cpu()

    def occupied(self, slots: Tensor) -> Tensor:
        """Every latent is one full slot."""
        return torch.ones(slots.shape[:2], dtype=torch.bool, device=slots.device)

    def spell(self, slots: Tensor) -> list[int] | None:
        """None: one vector is no sequence of tokens."""
        return None

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Text encoder and projections."""
        named = {f"text_encoder.{name}": p for name, p in self.text_encoder.named_parameters()}
        return named | {
            "to_latent": self.to_latent.weight, "to_past": self.to_past.weight, "to_added": self.to_added.weight,
        }  # fmt: skip

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """See `Reader`."""
        own, decoder = self.own_parameters(), self.decoder_parameters()
        return {"main": [*decoder.values(), *own.values()], "scalars": [self.log_sigma_w]}
