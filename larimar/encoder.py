"""The slot encoder e: text -> z in R^C and the readout W_M: noisy z -> decoder embeddings.

A latent is S slots of d numbers. Slot t of z is the *code* of token t; empty slots are zero. Codes start as
whitened principal components of the decoder's own input embeddings and are trained together with the
reader; each keeps the norm sqrt(d). The readout is a clean-up memory over the decoder's vocabulary: per slot

    softmax(beta · y · codesᵀ) · embeddings

turns what least squares returns into an embedding that the decoder accepts. After training the codes are
rounded once to multiples of 2^-11 (int16), so that encoding is exact on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from larimar.errors import InvalidInput

CODE_BITS = 11
"""Shipped codes are multiples of 2^-11, within +-16: int16."""


class SlotEncoder(nn.Module):
    """Codes of every vocabulary token, and the sharpness beta of the clean-up readout."""

    codes: Tensor
    embeddings: Tensor

    def __init__(self, embeddings: Tensor, slots: int, slot_dim: int, *, beta: float = 4.0) -> None:
        """`embeddings`: the decoder's input embeddings (V, hidden), shared, never trained.

        Raises InvalidInput when a slot has more numbers than an embedding.
        """
        super().__init__()
        if slot_dim > embeddings.shape[1]:
            raise InvalidInput(f"slot_dim must be at most the decoder's hidden size, {embeddings.shape[1]}")
        self.slots, self.slot_dim = slots, slot_dim
        self.register_buffer("embeddings", embeddings.detach(), persistent=False)
        self.raw_codes = nn.Parameter(whitened_codes(embeddings.detach(), slot_dim))
        self.log_beta = nn.Parameter(torch.tensor([beta]).log())

    def current_codes(self) -> Tensor:
        """Codes (V, d) float32 at norm sqrt(d), differentiable."""
        return F.normalize(self.raw_codes, dim=-1) * self.slot_dim**0.5

    def encode(self, tokens: Tensor, mask: Tensor, codes: Tensor) -> Tensor:
        """Latents (N, S·d) of token ids (N, T <= S) with mask (N, T); empty slots are zero."""
        if tokens.shape[1] > self.slots:
            raise InvalidInput(f"a latent has {self.slots} slots, the text has {tokens.shape[1]} tokens")
        filled = codes[tokens] * mask[..., None]
        padded = F.pad(filled, (0, 0, 0, self.slots - tokens.shape[1]))
        return padded.flatten(1)

    def occupied(self, latents: Tensor) -> Tensor:
        """Which slots (N, S) bool hold a token: their norm is above half of a code's; S any number of slots."""
        slots = latents.unflatten(1, (-1, self.slot_dim))
        return slots.norm(dim=-1) > 0.5 * self.slot_dim**0.5

    def clean_up(self, slots: Tensor, codes: Tensor) -> Tensor:
        """Embeddings (n, hidden) of single slots (n, d): softmax(beta · y · codesᵀ) · embeddings."""
        weights = torch.softmax(self.log_beta.exp() * (slots @ codes.T), dim=-1)
        return weights.to(self.embeddings.dtype) @ self.embeddings

    def nearest_tokens(self, slots: Tensor, codes: Tensor) -> Tensor:
        """Token ids (n,) whose codes are nearest to single slots (n, d)."""
        return (slots @ codes.T).argmax(dim=-1)


def whitened_codes(embeddings: Tensor, slot_dim: int) -> Tensor:
    """First codes (V, d): embeddings centred, on d principal components, whitened, scaled to norm sqrt(d)."""
    centred = embeddings.float() - embeddings.float().mean(dim=0)
    covariance = centred.T @ centred / len(centred)
    variances, directions = torch.linalg.eigh(covariance)
    strongest = directions[:, -slot_dim:] / variances[-slot_dim:].clamp_min(1e-12).sqrt()
    return F.normalize(centred @ strongest, dim=-1) * slot_dim**0.5


def freeze_codes(codes: Tensor) -> Tensor:
    """Codes (V, d) as int16 multiples of 2^-11, the form that is shipped."""
    return torch.round(codes.detach().float() * 2**CODE_BITS).to(torch.int16)


def thaw_codes(frozen: Tensor) -> Tensor:
    """Codes (V, d) float32 from their shipped int16 form; exact."""
    return frozen.float() * 2.0**-CODE_BITS
