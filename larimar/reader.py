"""The memory-conditioned decoder: the base decoder with a LoRA that is there only when the memory is read.

Its input is  <opening> soft slots <closing> query : learned delimiters (started from the embeddings of «Fact:»
and a new line) around the embeddings that the encoder's readout W_M made of the occupied slots. While
training, `peft` keeps the LoRA beside the frozen weights; for serving it is merged into a copy, so the base
decoder is another object that no read can touch.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from larimar.config import LarimarConfig
from larimar.encoder import CODE_BITS, SlotEncoder, thaw_codes
from larimar.errors import CheckpointMismatch

OPENING, CLOSING = "Fact:", "\nFact:"
_PROJECTIONS = {  # attention and MLP projections by architecture; others fall back to every linear layer
    "llama": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
}


@dataclass(frozen=True)
class Packed:
    """A left-padded batch for the decoder."""

    embeddings: Tensor
    """(N, T, hidden)"""
    mask: Tensor
    """(N, T) int64, 1 where there is input"""

    @property
    def positions(self) -> Tensor:
        """(N, T) position ids that start at 0 at the first real token."""
        return (self.mask.cumsum(dim=1) - 1).clamp_min(0)


class Reader(nn.Module):
    """LoRA, delimiters and the encoder's readout around one base decoder."""

    def __init__(self, base: Any, tokenizer: Any, config: LarimarConfig, *, trainable: bool = False) -> None:
        """`base` is copied; with `trainable` the LoRA stays apart and takes gradients in float32."""
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        table = base.get_input_embeddings().weight
        self.encoder = SlotEncoder(table, config.slots, config.slot_dim)
        self.opening = nn.Parameter(self._delimiter(table, OPENING))
        self.closing = nn.Parameter(self._delimiter(table, CLOSING))
        self.log_sigma_w = nn.Parameter(torch.tensor(0.1).log())
        lora = LoraConfig(
            r=config.lora_rank, lora_alpha=config.lora_alpha, task_type="CAUSAL_LM",
            target_modules=_PROJECTIONS.get(base.config.model_type, "all-linear"),
            fan_in_fan_out=base.config.model_type == "gpt2",
        )  # fmt: skip
        with warnings.catch_warnings():  # peft 0.21 asks transformers 5 for a name that it deprecated
            warnings.simplefilter("ignore", FutureWarning)
            self.decoder = get_peft_model(copy.deepcopy(base), lora, autocast_adapter_dtype=trainable)

    def lora_parameters(self) -> dict[str, nn.Parameter]:
        """The LoRA's own parameters by name."""
        return {name: p for name, p in self.decoder.named_parameters() if "lora_" in name}

    def fill(self, tensors: dict[str, Tensor]) -> None:
        """Take over a checkpoint's tensors. Raises CheckpointMismatch when they do not fit."""
        parameters: dict[str, Tensor] = dict(self.lora_parameters())
        parameters |= {
            "opening": self.opening, "closing": self.closing, "log_sigma_w": self.log_sigma_w,
            "log_beta": self.encoder.log_beta, "codes": self.encoder.raw_codes,
        }  # fmt: skip
        fits = set(tensors) == set(parameters)
        if not fits or any(p.shape != tensors[name].shape for name, p in parameters.items()):
            raise CheckpointMismatch(
                f"the checkpoint was trained for another decoder than '{self.config.decoder}' or another size; "
                f"expected codes for {len(self.encoder.raw_codes)} tokens in steps of 2^-{CODE_BITS}"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                saved = tensors[name]
                parameter.copy_(thaw_codes(saved) if name == "codes" else saved)

    def merge(self) -> None:
        """Fold the LoRA into the copied weights: reading then costs what the base decoder costs."""
        self.decoder = self.decoder.merge_and_unload().eval().requires_grad_(False)

    def prefixes(self, slots: Tensor, occupied: Tensor, codes: Tensor) -> list[Tensor]:
        """Opening, soft slots and closing (T_i, hidden) of latents (N, S, d) where `occupied` (N, S)."""
        soft = self.encoder.clean_up(slots[occupied], codes)
        opening, closing = self.opening.to(soft.dtype), self.closing.to(soft.dtype)
        parts = soft.split(occupied.sum(dim=1).tolist())
        return [torch.cat([opening, part, closing]) for part in parts]

    def _delimiter(self, table: Tensor, text: str) -> Tensor:
        """Embeddings (t, hidden) float32 of a delimiter's tokens."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        return table[torch.tensor(ids, device=table.device)].detach().float().clone()


def pack(rows: list[Tensor]) -> Packed:
    """Left-pad embeddings (T_i, hidden) into one batch."""
    longest = max(len(row) for row in rows)
    embeddings = rows[0].new_zeros(len(rows), longest, rows[0].shape[-1])
    mask = torch.zeros(len(rows), longest, dtype=torch.int64, device=embeddings.device)
    for i, row in enumerate(rows):
        embeddings[i, longest - len(row) :] = row
        mask[i, longest - len(row) :] = 1
    return Packed(embeddings, mask)
