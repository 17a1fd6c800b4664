"""Joint clean-up read: exact recall of every fact of a memory that holds more facts than it has rows.

Unwrite's own addition to the paper (docs/adr/0010). Least squares reads one fact of N > K with the noise of
all others: the keys W (N, K) project on K dimensions, so z_i comes back with variance (1 - K/N) / (K/N) a
number. But a slot is not any vector: it is one of V codes, and a bank knows the keys of all its facts and
their lengths. Slot position t is thus N_t <= N unknown codes seen through K equations

    B_t = W_tᵀ Z_t,    rows of Z_t in {c_1 .. c_V}

which is what a receiver of many users' signals solves, and it is solved the same way: estimate all, subtract
the estimates from B, estimate again from what is left (soft interference cancellation with a linear MMSE
filter; Wang and Poor 1999). One pass, from means m_i with mean variances v_i (at first 0 and 1):

    E    = B_t - W_tᵀ m                                  what the estimates do not explain
    F    = W_tᵀ diag(v) W_t + epsilon I                  (K, K)
    r_i  = m_i + w_i F^-1 E / g_i,   g_i = w_i F^-1 w_iᵀ   an unbiased view of z_i ...
    tau_i = 1 / g_i - v_i                                  ... with this noise a number,
    T    = EᵀE · d / trace                               shaped like the residual over the d numbers
    p_iv = softmax_v(-(r_i - c_v) T^-1 (r_i - c_v)ᵀ / 2 tau_i),  m_i = sum_v p_iv c_v,  v_i = its variance

The readout ends when the likeliest codes leave *no* residual in fixed point. That is a certificate: other
codes with the same B would have to differ in more than K facts at once and meet d · K integer equations of
over 20 bits; for N facts there are V^N candidates, so none is expected while N log2 V is far below 20 d K.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from larimar.encoder import CODE_BITS, thaw_codes
from larimar.errors import InvalidInput
from larimar.memory import KEY_BITS, VALUE_BITS, Memory, exact_product

EMPTY = -1
"""The token id of an empty slot."""
_RIDGE = 1e-4
_ROWS_AT_ONCE = 256
_CERTAIN = 1e-6
"""A code whose rivals have less probability than this takes part with no variance."""


@dataclass(frozen=True)
class JointRead:
    """What a memory holds, fact by fact."""

    tokens: Tensor
    """(N, S) int64 token ids, EMPTY beyond a fact's length"""
    proven: Tensor
    """(S,) bool: the tokens of this slot position explain B exactly, in fixed point"""
    passes: int
    """most passes that a slot position took"""

    @property
    def exact(self) -> bool:
        """Whether every slot position is proven."""
        return bool(self.proven.all())


def read_jointly(
    memory: Memory, keys: Tensor, lengths: Tensor, frozen_codes: Tensor, *, most_passes: int = 12
) -> JointRead:
    """Read every fact of `memory` at once.

    `keys` (N, K) int64 of all facts in it, `lengths` (N,) their tokens, `frozen_codes` (V, d) int16. Raises
    InvalidInput when the sizes do not fit, or when these are not all of the memory's facts.
    """
    slot_dim = frozen_codes.shape[1]
    slots, rest = divmod(memory.latent_dim, slot_dim)
    if keys.ndim != 2 or keys.shape[1] != memory.rows or len(keys) != len(lengths) or rest:
        raise InvalidInput(f"expected keys (N, {memory.rows}), N lengths and codes that divide the latent")
    if len(keys) != memory.count:
        raise InvalidInput("a joint read needs the keys of all facts in the memory, and of no others")
    tokens = torch.full((len(keys), slots), EMPTY, dtype=torch.int64)
    proven, passes = torch.zeros(slots, dtype=torch.bool), 0
    for slot, cross in enumerate(memory.cross.split(slot_dim, dim=1)):
        owners = (lengths > slot).nonzero().flatten()
        found, proven[slot], took = _solve_slot(cross, keys[owners], frozen_codes, most_passes)
        tokens[owners, slot] = found
        passes = max(passes, took)
    return JointRead(tokens, proven, passes)


def _solve_slot(cross: Tensor, keys: Tensor, frozen: Tensor, most: int) -> tuple[Tensor, bool, int]:
    """Tokens (n,) of one slot position from B_t (K, d) and its owners' keys (n, K); proven or not; passes."""
    tokens = torch.zeros(len(keys), dtype=torch.int64)
    if not len(keys):
        return tokens, not cross.any(), 0
    codes = thaw_codes(frozen)
    weights = keys.to(torch.float64) * 2.0**-KEY_BITS
    seen = cross.to(torch.float64) * 2.0 ** -(KEY_BITS + VALUE_BITS)
    means = torch.zeros(len(keys), codes.shape[1], dtype=torch.float64)
    variances = torch.ones(len(keys), dtype=torch.float64)
    for number in range(1, most + 1):
        unexplained = seen - weights.T @ means
        views, noise = _filtered(unexplained, weights, means, variances)
        tokens, means, variances = _clean_up(views, noise, _shape(unexplained), codes)
        if not _residual(cross, keys, frozen[tokens]).any():
            return tokens, True, number
    return tokens, False, most


def _filtered(
    unexplained: Tensor, weights: Tensor, means: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor]:
    """Unbiased views r (n, d) of every slot and their noise tau (n,), by the linear MMSE filter F."""
    variances = variances.clamp_min(1e-4)
    believed = variances.sum() * unexplained.shape[1]
    variances = variances * (unexplained.square().sum() / believed).clamp_min(1.0)  # never overconfident
    spread = weights.T @ (variances[:, None] * weights)
    spread.diagonal().add_(_RIDGE * variances.mean())
    solved = torch.cholesky_solve(torch.cat([weights.T, unexplained], dim=1), torch.linalg.cholesky(spread))
    gains = (weights * solved[:, : len(weights)].T).sum(dim=1)
    views = means + weights @ solved[:, len(weights) :] / gains[:, None]
    return views, (1.0 / gains - variances).clamp_min(1e-4)


def _shape(unexplained: Tensor) -> Tensor:
    """Covariance T (d, d) of the noise up to its scale (trace d), from the residual E (K, d)."""
    width = unexplained.shape[1]
    shape, even = unexplained.T @ unexplained, torch.eye(width, dtype=torch.float64)
    return 0.95 * shape * (width / shape.trace().clamp_min(1e-12)) + 0.05 * even


def _clean_up(views: Tensor, noise: Tensor, shape: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Likeliest token (n,), mean code (n, d) and mean variance a number (n,) of noisy slots (n, d)."""
    root = torch.linalg.cholesky(shape)
    whiten = torch.linalg.inv(root).T
    white, looks = codes @ whiten.float(), (views @ whiten).float()
    energy, tokens = white.square().sum(dim=1) / 2, torch.empty(len(views), dtype=torch.int64)
    means, variances = torch.empty_like(views), torch.zeros(len(views), dtype=torch.float64)
    for rows in torch.arange(len(views)).split(_ROWS_AT_ONCE):
        scores = torch.addmm(-energy, looks[rows], white.T).div_(noise[rows, None].float())
        best, tokens[rows] = scores.max(dim=1)
        likelihood = scores.sub_(best[:, None]).clamp_(min=-60.0).exp_()  # below e^-60 floats turn slow
        total = likelihood.sum(dim=1)
        means[rows] = codes[tokens[rows]].double()
        unsure = total > 1.0 + _CERTAIN
        if unsure.any():
            mean = (likelihood[unsure] / total[unsure, None] @ codes).double()
            means[rows[unsure]] = mean
            variances[rows[unsure]] = (1.0 - mean.square().mean(dim=1)).clamp_min(0.0)
    return tokens, means, variances


def _residual(cross: Tensor, keys: Tensor, found: Tensor) -> Tensor:
    """B_t minus what the found codes (n, d) int16 explain, (K, d) int64, exact."""
    return cross - exact_product(keys, found.to(torch.int64) << (VALUE_BITS - CODE_BITS))
