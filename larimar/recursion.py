"""The paper's sequential update (Eq. 2-4) as written, the reference that tests compare `memory` with.

It is not the system of record: at N <= K without a ridge its C is singular, and its error grows with the
number of updates (research cited in docs/adr/0002). Everything is float64.
"""

from __future__ import annotations

import torch
from torch import Tensor


def initial(keys: Tensor, values: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Eq. 2 with a ridge: C0 = W0ᵀW0 + lambda I and M0 = C0^-1 W0ᵀZ0, from keys (N, K) and values (N, C)."""
    covariance = keys.T @ keys + ridge * torch.eye(keys.shape[1], dtype=keys.dtype)
    return covariance, torch.linalg.solve(covariance, keys.T @ values)


def update(
    covariance: Tensor, memory: Tensor, keys: Tensor, values: Tensor, alpha: int
) -> tuple[Tensor, Tensor]:
    """Eq. 3 and 4: alpha = +1 writes the rows, alpha = -1 forgets rows that were written."""
    covariance = covariance + alpha * keys.T @ keys
    gain = torch.linalg.solve(covariance, keys.T)
    return covariance, memory + alpha * gain @ (values - keys @ memory)
