"""How the memory is addressed: keys w (N, K) from latents z (N, C), by name (paper, section 3 and appendix E).

    nearest-key      the hashed key of the stored latent that is nearest (default; docs/adr/0002)
    pseudo-inverse   w = z M_ref^+, scaled to unit norm; M_ref random orthonormal, a given prior, or the
                     encodings of prompts, one a row. With M_ref = M, the memory itself, it is Algorithm 1
    gaussian         w_k ~ exp(-|z - M_ref,k|² / 2 alpha sigma²), sigma the distance to the nearest row (Eq. 7-8)

    ways = addressing("gaussian", reference=prompts, alpha=1e-3)
    episode = Episode(ways, Memory(len(prompts), C))
    episode.write(ids, prompts, latents);  episode.read(rephrased);  episode.forget(ids[:1])

A hashed key is derived from a fact's id. A key that comes from a latent is not, and encoding again never gives
the same bits, so an `Episode` keeps the key of every row that it wrote, and forgets with that. Mind that an
M_ref of prompts itself holds what the prompts say, whatever is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from larimar.errors import DuplicateFact, InvalidInput, UnknownFact
from larimar.memory import KEY_BITS, Memory, hashed_keys, quantise_keys, quantise_values

NAMES = ("nearest-key", "pseudo-inverse", "gaussian")


class Addressing(Protocol):
    """Keys of latents."""

    rows: int
    """K"""

    def keys(self, latents: Tensor) -> Tensor:
        """Keys (N, K) float64 with |w| <= 1 of latents (N, C). Raises InvalidInput."""


class NearestKey:
    """The key of the stored latent with the largest cosine."""

    def __init__(self, reference: Tensor, names: Sequence[str], rows: int) -> None:
        """`reference` (n, C) latents of stored prompts, `names` (n,) what their keys are derived from."""
        self._reference = F.normalize(_checked(reference), dim=1)
        if len(names) != len(reference):
            raise InvalidInput(f"expected {len(reference)} names, one a reference latent")
        self.rows = rows
        self._keys = hashed_keys(list(names), rows).to(reference.device).to(torch.float64) * 2.0**-KEY_BITS

    def keys(self, latents: Tensor) -> Tensor:
        """The nearest stored latent's key."""
        nearest = _checked(latents, self._reference) @ self._reference.T
        return self._keys[nearest.argmax(dim=1)]


class PseudoInverse:
    """w = z M_ref^+ at unit norm (paper, section 3)."""

    def __init__(self, reference: Tensor) -> None:
        """`reference` M_ref (K, C)."""
        self._reference = _checked(reference)
        self.rows = len(reference)
        self._inverse = torch.linalg.pinv(self._reference)

    def keys(self, latents: Tensor) -> Tensor:
        """Least-squares coordinates of the latents in the rows of M_ref."""
        return F.normalize(_checked(latents, self._reference) @ self._inverse, dim=1)


class Gaussian:
    """Eq. 7 and 8; alpha towards 0 makes a key one-hot."""

    def __init__(self, reference: Tensor, alpha: float = 1e-3) -> None:
        """`reference` M_ref (K, C)."""
        if not 0 < alpha < float("inf"):
            raise InvalidInput("alpha must be above 0")
        self._reference, self.alpha = _checked(reference), alpha
        self.rows = len(reference)

    def keys(self, latents: Tensor) -> Tensor:
        """Weights over the rows of M_ref that sum to one; a latent that is a row has that row alone."""
        mode = "donot_use_mm_for_euclid_dist"  # differences of near latents must not cancel
        squares = torch.cdist(_checked(latents, self._reference), self._reference, compute_mode=mode).square()
        nearest = squares.min(dim=1, keepdim=True).values
        spread = (2 * self.alpha * nearest).clamp_min(torch.finfo(torch.float64).tiny)
        return torch.softmax(-(squares - nearest) / spread, dim=1)


def addressing(
    name: str = "nearest-key",
    *,
    reference: Tensor,
    names: Sequence[str] = (),
    rows: int | None = None,
    alpha: float = 1e-3,
) -> Addressing:
    """The addressing of a name. Raises InvalidInput with the known names.

    `reference`: M_ref (K, C), or for `nearest-key` the stored latents (n, C), with `names` and K = `rows`.
    """
    if name == "nearest-key":
        if rows is None or rows < 1:
            raise InvalidInput("nearest-key needs the number of rows of the memory")
        return NearestKey(reference, names, rows)
    if name == "pseudo-inverse":
        return PseudoInverse(reference)
    if name == "gaussian":
        return Gaussian(reference, alpha)
    raise InvalidInput(f"no addressing of that name; there are {', '.join(NAMES)}")


def orthonormal_reference(rows: int, latent_dim: int, seed: int = 0) -> Tensor:
    """A random M_ref (K, C) float64 with orthonormal rows (columns where K > C)."""
    noise = torch.Generator().manual_seed(seed)
    tall = torch.randn(max(rows, latent_dim), min(rows, latent_dim), generator=noise, dtype=torch.float64)
    directions = torch.linalg.qr(tall).Q
    return directions if rows > latent_dim else directions.T.contiguous()


def sampled(keys: Tensor, sigma_w: float, noise: torch.Generator) -> Tensor:
    """W ~ N(W mean, sigma_w² I) of Algorithm 1's read (N, K), kept within |w| <= 1."""
    drawn = torch.randn(keys.shape, generator=noise, dtype=keys.dtype, device=noise.device)
    return (keys + sigma_w * drawn.to(keys.device)).clamp(-1.0, 1.0)


class Episode:
    """A memory under an addressing, and the ledger of the rows that were written: key and value by id."""

    def __init__(self, ways: Addressing, memory: Memory) -> None:
        """Raises InvalidInput when the addressing is for another number of rows."""
        if ways.rows != memory.rows:
            raise InvalidInput(f"the addressing is for {ways.rows} rows, the memory has {memory.rows}")
        self.addressing, self.memory = ways, memory
        self._ledger: dict[str, tuple[Tensor, Tensor]] = {}

    def write(self, ids: Sequence[str], prompts: Tensor, values: Tensor) -> None:
        """Write latents `values` (N, C) at the keys of `prompts` (N, C).

        Raises DuplicateFact, BankFull, InvalidInput; then nothing changed.
        """
        if len(set(ids)) < len(ids) or any(i in self._ledger for i in ids):
            raise DuplicateFact("a fact with this id is in the memory already; forget it first")
        if not len(ids) == len(prompts) == len(values):
            raise InvalidInput("expected as many ids as prompts and values")
        keys, latents = quantise_keys(self.addressing.keys(prompts)), quantise_values(values)
        self.memory.write(keys, latents)
        for row, fact_id in enumerate(ids):  # clones: views would keep the whole batch alive
            self._ledger[fact_id] = keys[row].clone(), latents[row].clone()

    def forget(self, ids: Sequence[str]) -> None:
        """Forget rows with the ledger's own keys and values. Raises UnknownFact; then nothing changed."""
        if len(set(ids)) < len(ids) or any(i not in self._ledger for i in ids):
            raise UnknownFact("a fact with this id is not in the memory, or it is named twice")
        if ids:
            self.memory.forget(*(torch.stack([self._ledger[i][part] for i in ids]) for part in (0, 1)))
        for fact_id in ids:
            del self._ledger[fact_id]

    def read(self, prompts: Tensor, *, sigma_w: float = 0.0, noise: torch.Generator | None = None) -> Tensor:
        """Readouts (N, C) float64 at the keys of latents (N, C), sampled with sigma_w when `noise` is given."""
        keys = self.addressing.keys(prompts)
        return self.memory.read(quantise_keys(keys if noise is None else sampled(keys, sigma_w, noise)))

    def __len__(self) -> int:
        """Rows written and not forgotten."""
        return len(self._ledger)


def _checked(latents: Tensor, reference: Tensor | None = None) -> Tensor:
    """Latents (N, C) as float64, on the device and of the width of the reference. Raises InvalidInput."""
    if latents.ndim != 2 or not len(latents) or not latents.is_floating_point():
        raise InvalidInput("expected latents as a floating-point matrix (N, C) with N of at least 1")
    if reference is not None and latents.shape[1] != reference.shape[1]:
        raise InvalidInput(f"expected latents of {reference.shape[1]} numbers, not {latents.shape[1]}")
    if reference is not None and latents.device.type != reference.device.type:
        raise InvalidInput(f"expected latents on {reference.device.type}, not {latents.device.type}")
    if not torch.isfinite(latents).all():
        raise InvalidInput("latents hold NaN or infinity")
    return latents.to(torch.float64)
