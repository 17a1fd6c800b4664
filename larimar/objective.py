"""The training objective, Eq. (1), for one batch of episodes.

    L =   E_q(W) ln p(X | W, M)        reconstruction: written to a memory, read back, decoded
        + alpha ln p(d(e(X)))          autoencoding: decoded straight from the encoder
        - beta KL(q(W) || p(W))        q(W) = N(W0, sigma_W² I), p(W) = N(0, I), sigma_W learned

        + gamma E ln p(X)              pretraining: the trained decoder on generic text, with no memory

The first two are estimated on one batch: each example goes through the memory or, with probability
`autoencode_share`, around it, so alpha = share / (1 - share). The last keeps the language of a decoder that
is trained itself; out of scope the base decoder runs untouched, so with a LoRA it is not needed (gamma = 0).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from larimar.corpus import Example
from larimar.errors import InvalidInput
from larimar.prefix import extra_pair
from larimar.reader import Condition, Packed, Reader, conditioned, pack
from larimar.text import spaced

_CHUNK, _GPU_CHUNK = 8, 128
"""Examples of like length that are decoded side by side: less padding; a GPU would rather pad than wait."""


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
    """N / K of the fullest memory an episode is read from: N is drawn log-uniformly up to it; 0: alone in its own"""
    autoencode_share: float = 0.25
    beta_kl: float = 1e-3
    free_bits: float = 0.5
    """KL per element that costs nothing, in nats"""
    pretraining: float = 0.0
    """gamma, the weight of generic text with no memory"""

    def __post_init__(self) -> None:
        """Refuse weights that Eq. (1) does not have."""
        others = (self.beta_kl, self.free_bits, self.pretraining, self.largest_load)
        if not 0 <= self.autoencode_share < 1 or min(others) < 0:
            raise InvalidInput(
                "autoencode_share must be in [0, 1), the load and the other weights of Eq. (1) at least 0"
            )


@dataclass(frozen=True)
class Loss:
    """What one step measured."""

    total: Tensor
    text: float
    """mean cross entropy of target tokens, nats"""
    kl: float
    accuracy: float
    """share of target tokens that are the arg max"""
    pretraining: float
    """mean cross entropy of the statements with no memory, nats; 0 where its weight is 0"""


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


def background_count(objective: Objective, noise: torch.Generator) -> int:
    """How many other facts fill an episode's memory: its load is drawn log-uniformly."""
    most = max(objective.largest_load * objective.rows, objective.episode)
    low, high = math.log(objective.episode), math.log(most)
    share = torch.rand(1, generator=noise, device=noise.device).item()
    return max(0, round(math.exp(low + share * (high - low))) - objective.episode)


def address_divergence(sigma_w: Tensor, rows: int, free_bits: float) -> Tensor:
    """KL(N(w, sigma_W² I) || N(0, I)) a memory row for a unit-norm w, above the free bits."""
    per_element = 0.5 * (sigma_w**2 + 1.0 / rows - 1.0 - 2.0 * sigma_w.log())
    return (per_element - free_bits).clamp_min(0.0)


def loss(reader: Reader, batch: list[Example], objective: Objective, noise: torch.Generator) -> Loss:
    """Eq. (1) on a batch whose length is a multiple of `objective.episode`."""
    written = [example.written for example in batch]
    latents, occupied = reader.encode_batch(written)
    sigma_w = reader.log_sigma_w.exp().squeeze()
    read = torch.cat(
        [_read(reader, part, sigma_w, objective, noise) for part in latents.split(objective.episode)]
    )
    draw = torch.rand(len(batch), 1, generator=noise, device=latents.device)
    decoded = torch.where(draw < objective.autoencode_share, latents, read)
    slots = decoded.unflatten(1, (reader.config.slots, reader.config.slot_dim))
    logits, labels = _decode(reader, batch, reader.conditions(slots, occupied))
    text = F.cross_entropy(logits, labels)
    kl = address_divergence(sigma_w, objective.rows, objective.free_bits)
    total = text + objective.beta_kl * kl
    pretraining = _without_memory(reader, written) if objective.pretraining else torch.zeros(())
    if objective.pretraining:
        total = total + objective.pretraining * pretraining
    accuracy = (logits.argmax(dim=-1) == labels).float().mean()
    return Loss(total, text.item(), kl.item(), accuracy.item(), pretraining.item())


def _read(
    reader: Reader, latents: Tensor, sigma_w: Tensor, objective: Objective, noise: torch.Generator
) -> Tensor:
    """One episode's latents as a memory with a random load returns them."""
    others = reader.background(background_count(objective, noise), latents, noise)
    with torch.autocast(latents.device.type, enabled=False):  # the memory that is served is exact
        return read_through_memory(latents.float(), sigma_w, objective, noise, others.float())


def _decode(reader: Reader, batch: list[Example], conditions: list[Condition]) -> tuple[Tensor, Tensor]:
    """Logits (n, V) float32 at the target positions and the target tokens (n,), an end token last."""
    embed = reader.language_model.get_input_embeddings()
    rows, targets = [], []
    for example, condition in zip(batch, conditions, strict=True):
        target = [*_ids(reader, example.target), reader.tokenizer.eos_token_id]
        asked = reader.query_tokens(_ids(reader, example.query), condition)
        tail = torch.tensor(asked + target[:-1], device=reader.log_sigma_w.device)
        rows.append(conditioned(embed(tail), condition))
        targets.append(target)
    return _logits(reader, rows, targets, conditions)


def _without_memory(reader: Reader, texts: list[str]) -> Tensor:
    """- ln p(X) a token of texts under the trained decoder with no condition."""
    embed = reader.language_model.get_input_embeddings()
    start = reader.start or [reader.tokenizer.eos_token_id]
    targets = [_ids(reader, text) for text in texts]
    inputs = [torch.tensor(start + target[:-1], device=reader.log_sigma_w.device) for target in targets]
    return F.cross_entropy(*_logits(reader, [embed(tokens) for tokens in inputs], targets, []))


def _logits(
    reader: Reader, rows: list[Tensor], targets: list[list[int]], conditions: list[Condition]
) -> tuple[Tensor, Tensor]:
    """Logits (n, V) float32 at the last positions of input rows (T_i, hidden) and their targets (n,)."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    states = []
    size = _CHUNK if rows[0].device.type == "cpu" else _GPU_CHUNK
    for chunk in (order[start : start + size] for start in range(0, len(order), size)):
        packed = pack([rows[i] for i in chunk], [conditions[i] for i in chunk if conditions])
        hidden = _hidden(reader, packed)
        states += [hidden[place, -len(targets[i]) :] for place, i in enumerate(chunk)]
    labels = torch.tensor([token for i in order for token in targets[i]], device=states[0].device)
    return reader.language_model.get_output_embeddings()(torch.cat(states)).float(), labels


def _hidden(reader: Reader, packed: Packed) -> Tensor:
    """Hidden states (N, T, hidden) of the trained decoder."""
    model = reader.language_model
    past = None if packed.past is None else extra_pair(packed.past, model.dtype, fixed=True)
    return model.base_model(
        inputs_embeds=packed.embeddings, attention_mask=packed.attention, position_ids=packed.positions,
        past_key_values=past, use_cache=False,
    ).last_hidden_state  # fmt: skip


def _ids(reader: Reader, text: str) -> list[int]:
    """Token ids of a text with its leading space, without special tokens."""
    return reader.tokenizer(spaced(text), add_special_tokens=False).input_ids
