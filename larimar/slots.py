"""The reader of slot latents (default): the memory's readout stands before the query as soft tokens.

Its input is  <opening> soft slots <closing> query : learned delimiters (started from the embeddings of «Fact:»
and a new line) around the embeddings that the encoder's readout W_M made of the occupied slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from larimar.config import ROWS_PER_FACT, LarimarConfig
from larimar.encoder import SlotEncoder, freeze_codes, thaw_codes
from larimar.errors import FactTooLong
from larimar.reader import Condition, Reader, input_table
from larimar.text import spaced

OPENING, CLOSING = "Fact:", "\nFact:"


class SlotReader(Reader):
    """Token codes, delimiters and the clean-up readout around one decoder."""

    codes: Tensor

    def __init__(self, base: Any, tokenizer: Any, config: LarimarConfig, *, trainable: bool = False) -> None:
        """See `Reader`; the codes start from the decoder's input embeddings."""
        super().__init__(base, tokenizer, config, trainable=trainable)
        table = input_table(base)
        self.encoder = SlotEncoder(table, config.slots, config.slot_dim)
        self.opening = nn.Parameter(self._embedded(table, OPENING))
        self.closing = nn.Parameter(self._embedded(table, CLOSING))
        self.frozen_codes: Tensor | None = None
        self.register_buffer("codes", torch.empty(0), persistent=False)

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """See `Reader.fill`; the codes come as int16."""
        thawed = {name: thaw_codes(t) if name == "codes" else t for name, t in tensors.items()}
        super().fill(thawed)
        self.frozen_codes = tensors["codes"].cpu()
        self.codes = thawed["codes"].to(self.opening.device)

    def tensors(self) -> dict[str, Tensor]:
        """See `Reader.tensors`; the codes are rounded to int16 once, here."""
        return super().tensors() | {"codes": freeze_codes(self.encoder.current_codes())}

    def encode_batch(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """See `Reader`; with codes that take gradients."""
        slots, device = self.config.slots, self.opening.device
        ids = [self._ids(spaced(text))[:slots] for text in texts]
        tokens = torch.zeros(len(ids), slots, dtype=torch.int64)
        mask = torch.zeros(len(ids), slots)
        for i, row in enumerate(ids):
            tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1.0
        tokens, mask = tokens.to(device), mask.to(device)
        return self.encoder.encode(tokens, mask, self.encoder.current_codes()), mask.bool()

    def background(self, count: int, latents: Tensor, noise: torch.Generator) -> Tensor:
        """Random tokens, five to half of the slots."""
        device, most = latents.device, max(6, self.config.slots // 2)
        with torch.no_grad():
            codes = self.encoder.current_codes()
            lengths = torch.randint(5, most, (count, 1), generator=noise, device=device)
            tokens = torch.randint(len(codes), (count, most), generator=noise, device=device)
            mask = torch.arange(most, device=device) < lengths
            return self.encoder.encode(tokens, mask.float(), codes)

    def conditions(self, slots: Tensor, occupied: Tensor) -> list[Condition]:
        """Start tokens, opening, cleaned-up slots, closing."""
        codes = self.encoder.current_codes() if self.training or self.frozen_codes is None else self.codes
        soft = self.encoder.clean_up(slots[occupied], codes)
        start = self.encoder.embeddings[torch.tensor(self.start, dtype=torch.int64, device=soft.device)]
        opening, closing = self.opening.to(soft.dtype), self.closing.to(soft.dtype)
        parts = soft.split(occupied.sum(dim=1).tolist())
        return [Condition(torch.cat([start, opening, part, closing])) for part in parts]

    def quantised(self, text: str) -> Tensor:
        """Codes of the statement's tokens."""
        if self.frozen_codes is None:
            raise RuntimeError(
                "the codes of a reader are rounded when it is exported: fill it from a checkpoint"
            )
        ids = self._ids(spaced(text))
        most = ROWS_PER_FACT * self.config.slots
        if len(ids) > most:
            raise FactTooLong(f"the fact has {len(ids)} tokens; this model holds {most} a fact")
        return self.frozen_codes[torch.tensor(ids)]

    def occupied(self, slots: Tensor) -> Tensor:
        """Slots above half of a code's norm."""
        return self.encoder.occupied(slots.flatten(1))

    def spell(self, slots: Tensor) -> list[int] | None:
        """The tokens whose codes are nearest to the occupied slots."""
        return self.encoder.nearest_tokens(slots[self.occupied(slots[None])[0]], self.codes).tolist()

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Delimiters, codes, beta."""
        return {
            "opening": self.opening, "closing": self.closing,
            "log_beta": self.encoder.log_beta, "codes": self.encoder.raw_codes,
        }  # fmt: skip

    def scalars(self) -> dict[str, float]:
        """See `Reader`; and beta."""
        return super().scalars() | {"beta": self.encoder.log_beta.exp().item()}

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """See `Reader`."""
        return {
            "main": [*self.decoder_parameters().values(), self.opening, self.closing],
            "codes": [self.encoder.raw_codes],
            "scalars": [self.encoder.log_beta, self.log_sigma_w],
        }

    def _ids(self, text: str) -> list[int]:
        """Token ids without special tokens."""
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _embedded(self, table: Tensor, text: str) -> Tensor:
        """Embeddings (t, hidden) float32 of a text's tokens."""
        return table[torch.tensor(self._ids(text), device=table.device)].float().clone()
