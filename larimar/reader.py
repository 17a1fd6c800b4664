"""The memory-conditioned decoder: a copy of the base decoder that is told what the memory returned.

What is told is a `Condition`, made of a latent by one of the encoders (`slots`, `pooled`). The copy is
trained by a LoRA, in full, or not at all (`train_decoder`); while training, `peft` keeps the LoRA beside the
frozen weights, for serving it is merged. The base decoder is another object that no read can touch.
"""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from larimar.config import LarimarConfig
from larimar.errors import CheckpointCorrupt, CheckpointMismatch


@dataclass(frozen=True)
class Condition:
    """What the decoder is given of one latent."""

    prefix: Tensor | None = None
    """(t, hidden): embeddings before the query, start tokens included (slots)"""
    past: Tensor | None = None
    """(L, 2, H, D): one more key and value for each layer's heads (pooled)"""
    added: Tensor | None = None
    """(hidden,): added to every embedding (pooled)"""


@dataclass(frozen=True)
class Packed:
    """A left-padded batch for the decoder."""

    embeddings: Tensor
    """(N, T, hidden)"""
    mask: Tensor
    """(N, T) int64, 1 where there is input"""

    past: Tensor | None = None
    """(N, L, 2, H, D): a key and a value before the first token"""
    added: Tensor | None = None
    """(N, hidden): to be added to what is decoded next"""

    @property
    def attention(self) -> Tensor:
        """The mask with the extra key, if there is one: (N, T) or (N, 1 + T)."""
        return self.mask if self.past is None else nn.functional.pad(self.mask, (1, 0), value=1)

    @property
    def positions(self) -> Tensor:
        """(N, T) position ids from 0 at the first real token; from 1 after an extra key, as in the paper's code."""
        return (self.attention.cumsum(dim=1) - 1).clamp_min(0)[:, -self.mask.shape[1] :]


class Reader(nn.Module, ABC):
    """A trainable or merged copy of the decoder, the address noise sigma_W, and an encoder's interface."""

    def __init__(self, base: Any, tokenizer: Any, config: LarimarConfig, *, trainable: bool = False) -> None:
        """`base` is copied; with `trainable` what is trained takes gradients in float32."""
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.start: list[int] = list(tokenizer("").input_ids)
        self.log_sigma_w = nn.Parameter(torch.tensor([0.1]).log())  # one dimension: FSDP shards no scalars
        self.decoder = copy.deepcopy(base)
        if config.train_decoder == "full":
            self.decoder = self.decoder.to(torch.float32 if trainable else base.dtype).requires_grad_(
                trainable
            )
        if config.train_decoder == "lora":
            self.decoder = with_lora(self.decoder, config, trainable)

    @abstractmethod
    def encode_batch(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Latents (N, C) and occupied slots (N, S) bool of statements, cut at what one latent holds."""

    @abstractmethod
    def background(self, count: int, latents: Tensor, noise: torch.Generator) -> Tensor:
        """Latents (count, C) of other facts, without gradients: what else is in a memory with `latents`."""

    @abstractmethod
    def conditions(self, slots: Tensor, occupied: Tensor) -> list[Condition]:
        """What the decoder is given of latents (N, S, d) where `occupied` (N, S)."""

    @abstractmethod
    def quantised(self, text: str) -> Tensor:
        """The latent of one statement as (n, d) int16 multiples of 2^-11, S a memory row. Raises FactTooLong."""

    @abstractmethod
    def occupied(self, slots: Tensor) -> Tensor:
        """Which slots (N, S) bool of latents (N, S, d) hold something."""

    @abstractmethod
    def spell(self, slots: Tensor) -> list[int] | None:
        """The token ids that one latent (S, d) spells, or None where a latent is no sequence of tokens."""

    @abstractmethod
    def own_parameters(self) -> dict[str, nn.Parameter]:
        """The encoder's and the condition's parameters by their names in a checkpoint."""

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Trained parameters by learning rate: `main`, `codes` and `scalars`, in a fixed order."""

    def scalars(self) -> dict[str, float]:
        """Learned single numbers, for the log."""
        return {"sigma_w": self.log_sigma_w.exp().item()}

    @property
    def language_model(self) -> Any:
        """The decoder as a causal LM, without the LoRA's wrapper."""
        return self.decoder.get_base_model() if hasattr(self.decoder, "get_base_model") else self.decoder

    def query_tokens(self, query: list[int], condition: Condition) -> list[int]:
        """A query's tokens after the start tokens, unless the condition's prefix has them."""
        return query if condition.prefix is not None else [*self.start, *query]

    def decoder_parameters(self) -> dict[str, nn.Parameter]:
        """The decoder's trained parameters by their names in a checkpoint."""
        named = self.decoder.named_parameters()
        if self.config.train_decoder == "full":
            return {f"decoder.{name}": p for name, p in named}
        return {name: p for name, p in named if "lora_" in name}

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: decoder parameters as bfloat16, the others as they are."""
        kept = {name: p.detach().bfloat16() for name, p in self.decoder_parameters().items()}
        kept |= {name: p.detach() for name, p in self.own_parameters().items()}
        kept["log_sigma_w"] = self.log_sigma_w.detach()
        return {name: t.squeeze() if t.shape == (1,) else t for name, t in kept.items()}

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over a checkpoint's tensors. Raises CheckpointMismatch when they do not fit, CheckpointCorrupt
        when they are not finite."""
        parameters = self.decoder_parameters() | self.own_parameters() | {"log_sigma_w": self.log_sigma_w}
        fits = set(tensors) == set(parameters)
        if not fits or any(
            p.squeeze().shape != tensors[name].squeeze().shape for name, p in parameters.items()
        ):
            raise CheckpointMismatch(
                f"the checkpoint was trained for another decoder than '{self.config.decoder}', another encoder "
                f"than '{self.config.encoder}' or another size; load it with the configuration it was made with"
            )
        if not all(t.isfinite().all() for t in tensors.values() if t.is_floating_point()):
            raise CheckpointCorrupt("the checkpoint has weights that are not finite numbers; get it again")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[name].reshape(parameter.shape))

    def merge(self) -> None:
        """Ready to serve: no gradients, the LoRA folded into the copied weights, so that it costs nothing."""
        if self.config.train_decoder == "lora":
            self.decoder = self.decoder.merge_and_unload()
        self.eval().requires_grad_(False)


def with_lora(decoder: Any, config: LarimarConfig, trainable: bool) -> Any:
    """`decoder` with a LoRA on every linear layer but the output's."""
    lora = LoraConfig(
        r=config.lora_rank, lora_alpha=config.lora_alpha, task_type="CAUSAL_LM",
        target_modules="all-linear", fan_in_fan_out=decoder.config.model_type == "gpt2",
    )  # fmt: skip
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a name that it deprecated
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(decoder, lora, autocast_adapter_dtype=trainable)


def input_table(model: Any) -> Tensor:
    """The decoder's input embeddings (V, hidden) as its first layer sees them.

    Gemma's embedding layer scales its weights, so it is asked for every token; an ordinary one is shared.
    """
    layer = model.get_input_embeddings()
    if type(layer) is nn.Embedding:
        return layer.weight.detach()
    with torch.no_grad():
        return layer(torch.arange(layer.weight.shape[0], device=layer.weight.device))


def conditioned(tokens: Tensor, condition: Condition | None) -> Tensor:
    """Decoder input (T, hidden) of a query's token embeddings under a condition."""
    if condition is None:
        return tokens
    if condition.added is not None:
        tokens = tokens + condition.added.to(tokens.dtype)
    return tokens if condition.prefix is None else torch.cat([condition.prefix.to(tokens.dtype), tokens])


def pack(rows: list[Tensor], conditions: Sequence[Condition | None] = ()) -> Packed:
    """Left-pad embeddings (T_i, hidden) into one batch; all its conditions, or none, have an extra key."""
    longest = max(len(row) for row in rows)
    embeddings = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.int64, device=embeddings.device)
    for i, row in enumerate(rows):
        embeddings[i, longest - len(row) :] = row
        mask[i, longest - len(row) :] = 1
    past = [c.past for c in conditions if c is not None and c.past is not None]
    added = [c.added for c in conditions if c is not None and c.added is not None]
    if not past:
        return Packed(embeddings, mask)
    return Packed(embeddings, mask, torch.stack(past), torch.stack(added).to(embeddings.dtype))
