"""The training objective, Eq. (1), for one batch of episodes.

    L =   E_q(W) ln p(X | W, M)        reconstruction: written to a memory, read back, decoded
        + alpha ln p(d(e(X)))          autoencoding: decoded straight from the encoder
        - beta KL(q(W) || p(W))        q(W) = N(W0, sigma_W² I), p(W) = N(0, I), sigma_W learned

The first two are estimated on one batch: each example goes through the memory or, with probability
`autoencode_share`, around it, so their weights are (1 - share) : share. The fourth term of Eq. (1), the
pretraining regulariser, is constant here: out of scope the base decoder runs untouched, so no parameter
that is trained can change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from larimar.corpus import Example
from larimar.encoder import SlotEncoder
from larimar.reader import Reader, pack
from larimar.text import spaced

_CHUNK = 8
"""Examples of like length that are decoded side by side: less padding."""


@dataclass(frozen=True)
class Objective:
    """The weights and noises of Eq. (1)."""

    episode: int = 16
    """N, examples that share one memory"""
    rows: int = 512
    """K"""
    ridge: float = 1e-4
    observation_noise: float = 0.05
    """sigma_xi of Algorithm 1, on the latents before they are written"""
    largest_load: float = 2.0
    """N / K of the fullest memory an episode is read from: N is drawn log-uniformly up to it"""
    autoencode_share: float = 0.25
    beta_kl: float = 1e-3
    free_bits: float = 0.5
    """KL per element that costs nothing, in nats"""


@dataclass(frozen=True)
class Loss:
    """What one step measured."""

    total: Tensor
    text: float
    """mean cross entropy of target tokens, nats"""
    kl: float
    accuracy: float
    """share of target tokens that are the arg max"""


def read_through_memory(
    latents: Tensor,
    sigma_w: Tensor,
    objective: Objective,
    noise: torch.Generator,
    background: Tensor | None = None,
) -> Tensor:
    """Latents (N, C) of one episode after write and read at N of the N + B random unit keys over K rows.

    `background` (B, C): latents of other facts in the same memory. They bring the noise that a full memory
    reads with. In the dual form M = Wᵀ (W Wᵀ + lambda I)^-1 Z; in the primal one (WᵀW + lambda I)^-1 WᵀZ:
    the smaller system is solved.
    """
    device = latents.device
    written = latents if background is None else torch.cat([latents, background])
    draw = {"generator": noise, "device": device}
    keys = torch.randn(len(written), objective.rows, **draw)  # type: ignore[call-overload]
    keys = F.normalize(keys, dim=-1)
    observed = written + objective.observation_noise * torch.randn(written.shape, **draw)  # type: ignore[call-overload]
    asked = keys[: len(latents)]
    sampled = asked + sigma_w * torch.randn(asked.shape, **draw)  # type: ignore[call-overload]
    return _least_squares_weights(sampled, keys, objective.ridge) @ observed


def _least_squares_weights(asked: Tensor, keys: Tensor, ridge: float) -> Tensor:
    """Weights (Q, N) with which rows written at keys (N, K) are read at `asked` (Q, K)."""
    count, rows = keys.shape
    if count <= rows:
        gram = keys @ keys.T + ridge * torch.eye(count, device=keys.device)
        return torch.linalg.solve(gram, keys @ asked.T).T
    covariance = keys.T @ keys + ridge * torch.eye(rows, device=keys.device)
    return torch.linalg.solve(covariance, asked.T).T @ keys.T


def background_latents(
    encoder: SlotEncoder, codes: Tensor, objective: Objective, noise: torch.Generator
) -> Tensor:
    """Latents (B, C) of random tokens, as many as fill the memory to a load drawn for this episode."""
    low, high = math.log(objective.episode), math.log(objective.largest_load * objective.rows)
    share = torch.rand(1, generator=noise, device=codes.device).item()
    count = round(math.exp(low + share * (high - low))) - objective.episode
    lengths = torch.randint(5, encoder.slots // 2, (count, 1), generator=noise, device=codes.device)
    tokens = torch.randint(len(codes), (count, encoder.slots // 2), generator=noise, device=codes.device)
    mask = torch.arange(encoder.slots // 2, device=codes.device) < lengths
    return encoder.encode(tokens, mask.float(), codes.detach())


def address_divergence(sigma_w: Tensor, rows: int, free_bits: float) -> Tensor:
    """KL(N(w, sigma_W² I) || N(0, I)) a memory row for a unit-norm w, above the free bits."""
    per_element = 0.5 * (sigma_w**2 + 1.0 / rows - 1.0 - 2.0 * sigma_w.log())
    return (per_element - free_bits).clamp_min(0.0)


def loss(reader: Reader, batch: list[Example], objective: Objective, noise: torch.Generator) -> Loss:
    """Eq. (1) on a batch whose length is a multiple of `objective.episode`."""
    encoder, device = reader.encoder, reader.opening.device
    codes, sigma_w = encoder.current_codes(), reader.log_sigma_w.exp()
    latents, occupied = encode_batch(encoder, reader.tokenizer, [e.written for e in batch], codes)
    read = torch.cat(
        [
            read_through_memory(
                part, sigma_w, objective, noise, background_latents(encoder, codes, objective, noise)
            )
            for part in latents.split(objective.episode)
        ]
    )
    around = torch.rand(len(batch), 1, generator=noise, device=device) < objective.autoencode_share
    slots = torch.where(around, latents, read).unflatten(1, (encoder.slots, encoder.slot_dim))
    logits, labels = _decode(reader, batch, reader.prefixes(slots, occupied, codes))
    text = F.cross_entropy(logits, labels)
    kl = address_divergence(sigma_w, objective.rows, objective.free_bits)
    accuracy = (logits.argmax(dim=-1) == labels).float().mean()
    return Loss(text + objective.beta_kl * kl, text.item(), kl.item(), accuracy.item())


def encode_batch(
    encoder: SlotEncoder, tokenizer: object, texts: list[str], codes: Tensor
) -> tuple[Tensor, Tensor]:
    """Latents (N, C) and occupied slots (N, S) of statements, cut at S tokens."""
    ids = [_ids(tokenizer, spaced(text))[: encoder.slots] for text in texts]
    tokens = torch.zeros(len(ids), encoder.slots, dtype=torch.int64)
    mask = torch.zeros(len(ids), encoder.slots)
    for i, row in enumerate(ids):
        tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1.0
    tokens, mask = tokens.to(codes.device), mask.to(codes.device)
    return encoder.encode(tokens, mask, codes), mask.bool()


def _decode(reader: Reader, batch: list[Example], prefixes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Logits (n, V) float32 at the target positions and the target tokens (n,), an end token last."""
    table = reader.encoder.embeddings
    rows, targets = [], []
    for example, prefix in zip(batch, prefixes, strict=True):
        target = [*_ids(reader.tokenizer, spaced(example.target)), reader.tokenizer.eos_token_id]
        query = _ids(reader.tokenizer, spaced(example.query))
        tail = torch.tensor(query + target[:-1], device=table.device)
        rows.append(torch.cat([prefix, table[tail]]))
        targets.append(target)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
    wanted = torch.cat(
        [_target_states(reader, [rows[i] for i in c], [len(targets[i]) for i in c]) for c in chunks]
    )
    labels = torch.tensor([token for i in order for token in targets[i]], device=table.device)
    return reader.decoder.get_base_model().get_output_embeddings()(wanted).float(), labels


def _target_states(reader: Reader, rows: list[Tensor], counts: list[int]) -> Tensor:
    """Hidden states (n, hidden) at the last `counts` positions of each row, for rows of like length."""
    packed = pack(rows)
    hidden = (
        reader.decoder.get_base_model()
        .base_model(
            inputs_embeds=packed.embeddings, attention_mask=packed.mask, position_ids=packed.positions
        )
        .last_hidden_state
    )
    return torch.cat([hidden[i, -count:] for i, count in enumerate(counts)])


def _ids(tokenizer: object, text: str) -> list[int]:
    """Token ids without special tokens."""
    return tokenizer(text, add_special_tokens=False).input_ids  # type: ignore[operator]
