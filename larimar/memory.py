"""The least-squares memory (paper, section 3) in its exact, fixed-point form.

The state is not M but its sufficient statistics C = WᵀW and B = WᵀZ, held as int64 fixed point. Integer
sums are the same in any order on any machine, so after write + forget the state equals the never-written
state bit for bit, and a rebuild from the surviving ledger proves it. M = (C + lambda I)^-1 B, the solution
of Eq. 5-6, is solved when somebody reads.

    write   (alpha = +1)   C += wᵀw,  B += wᵀz      (Eq. 3; Eq. 4 in information form)
    forget  (alpha = -1)   C -= wᵀw,  B -= wᵀz      (with the ledger's own w and z, never re-encoded)
    read                   z = w M
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property

import torch
from torch import Tensor

from larimar.errors import BankFull, InvalidInput

KEY_BITS = 22
"""Keys are multiples of 2^-22, |w| <= 1."""
VALUE_BITS = 17
"""Values are multiples of 2^-17, |z| <= 16."""
_MAX_VALUE = 16.0
_EXACT_FLOAT = 2**53
_MAX_ROWS_WRITTEN = 2**18
"""N · 2^22 · 2^22 < 2^63 and N · 2^22 · 2^21 < 2^63: int64 can never overflow below this many rows."""


def quantise_keys(keys: Tensor) -> Tensor:
    """Keys (N, K) float with |w| <= 1 as int64 multiples of 2^-22. Raises InvalidInput."""
    return _quantise(keys, KEY_BITS, 1.0, "keys")


def quantise_values(values: Tensor) -> Tensor:
    """Values (N, C) float with |z| <= 16 as int64 multiples of 2^-17. Raises InvalidInput."""
    return _quantise(values, VALUE_BITS, _MAX_VALUE, "values")


def hashed_keys(names: list[str], rows: int) -> Tensor:
    """One key a name, (N, K) int64 fixed point: signs from SHAKE-256 of the name, scaled to unit norm.

    The keys say nothing about the fact, need no floating point to derive, and are nearly orthogonal: two of
    them have an inner product of standard deviation 1 / sqrt(K).
    """
    scale = round(2**KEY_BITS / rows**0.5)
    keys = torch.empty(len(names), rows, dtype=torch.int64)
    for i, name in enumerate(names):
        digest = hashlib.shake_256(b"larimar key\0" + name.encode()).digest((rows + 7) // 8)
        bits = torch.frombuffer(bytearray(digest), dtype=torch.uint8)
        unpacked = (bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
        keys[i] = unpacked.flatten()[:rows].to(torch.int64)
    return (2 * keys - 1) * scale


class Memory:
    """One memory matrix of K rows over latents of C numbers; refuses more than `capacity` facts."""

    def __init__(
        self, rows: int, latent_dim: int, *, ridge: float = 1e-4, capacity: int | None = None
    ) -> None:
        """An empty memory. `capacity` None lifts the limit (benchmarks beyond N = 0.75 K)."""
        self.rows, self.latent_dim, self.ridge = rows, latent_dim, ridge
        self.capacity = min(capacity or _MAX_ROWS_WRITTEN, _MAX_ROWS_WRITTEN)
        self.count = 0
        self._covariance = torch.zeros(rows, rows, dtype=torch.int64)
        self._cross = torch.zeros(rows, latent_dim, dtype=torch.int64)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Add rows: keys (N, K) and values (N, C), int64 fixed point. Raises BankFull, InvalidInput."""
        self._check(keys, values)
        if self.count + len(keys) > self.capacity:
            raise BankFull(
                f"the memory holds {self.count} of at most {self.capacity} facts; open another bank"
            )
        self._add(keys, values, +1)

    def forget(self, keys: Tensor, values: Tensor) -> None:
        """Subtract rows that were written: the very same int64 keys and values. Raises InvalidInput."""
        self._check(keys, values)
        if len(keys) > self.count:
            raise InvalidInput(f"cannot forget {len(keys)} rows of a memory that holds {self.count}")
        self._add(keys, values, -1)

    def read(self, keys: Tensor) -> Tensor:
        """Readout (N, C) float64 of keys (N, K) int64: z = w (C + lambda I)^-1 B."""
        weights = keys.to(torch.float64) * 2.0**-KEY_BITS
        dual = torch.cholesky_solve(weights.T, self._factor).T
        return dual @ self._cross_float

    def solution(self) -> Tensor:
        """M (K, C) float64, the least-squares solution of Eq. 5-6 with the ridge."""
        return torch.cholesky_solve(self._cross_float, self._factor)

    @property
    def cross(self) -> Tensor:
        """B (K, C) int64 in units of 2^-39, for the joint read (`larimar.joint`); not to be changed."""
        return self._cross

    def copy(self) -> Memory:
        """An independent memory in the same state."""
        twin = Memory(self.rows, self.latent_dim, ridge=self.ridge, capacity=self.capacity)
        twin.count = self.count
        twin._covariance, twin._cross = self._covariance.clone(), self._cross.clone()
        return twin

    def digest(self, key: bytes = b"") -> str:
        """HMAC-SHA-256 (hex) over sizes and state; equal if and only if the states are equal, bit for bit."""
        mac = hmac.new(key, digestmod="sha256")
        mac.update(f"larimar memory 1 {self.rows} {self.latent_dim} {self.count} {self.ridge!r}\n".encode())
        for part in (self._covariance, self._cross):
            mac.update(part.contiguous().numpy().astype("<i8", copy=False).tobytes())
        return mac.hexdigest()

    @cached_property
    def _factor(self) -> Tensor:
        """Lower Cholesky factor of C + lambda I, made at the first read after a change."""
        covariance = self._covariance.to(torch.float64) * 2.0 ** (-2 * KEY_BITS)
        covariance.diagonal().add_(self.ridge)
        return torch.linalg.cholesky(covariance)

    @cached_property
    def _cross_float(self) -> Tensor:
        """B as float64, made at the first read after a change."""
        return self._cross.to(torch.float64) * 2.0 ** -(KEY_BITS + VALUE_BITS)

    def _add(self, keys: Tensor, values: Tensor, sign: int) -> None:
        """C += sign · wᵀw, B += sign · wᵀz, and drop what was solved from the old state."""
        self._covariance += sign * exact_product(keys, keys)
        self._cross += sign * exact_product(keys, values)
        self.count += sign * len(keys)
        for name in ("_factor", "_cross_float"):
            self.__dict__.pop(name, None)

    def _check(self, keys: Tensor, values: Tensor) -> None:
        """Shapes, integer type and range, before anything changes."""
        if keys.dtype != torch.int64 or values.dtype != torch.int64:
            raise InvalidInput(
                "keys and values must be int64 fixed point; use quantise_keys and quantise_values"
            )
        expected = (self.rows, self.latent_dim)
        if keys.ndim != 2 or values.ndim != 2 or (keys.shape[1], values.shape[1]) != expected:
            raise InvalidInput(f"expected keys (N, {self.rows}) and values (N, {self.latent_dim})")
        if len(keys) != len(values) or len(keys) == 0:
            raise InvalidInput("expected as many keys as values, and at least one")
        if keys.abs().max() > 2**KEY_BITS or values.abs().max() > _MAX_VALUE * 2**VALUE_BITS:
            raise InvalidInput("a key is above 1 or a value above 16 in magnitude")


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ · right of int64 matrices (N, A), (N, B) as int64 (A, B), without rounding.

    Float64 products are exact (and many times faster than integer ones) while no partial sum can reach
    2^53; above that the integer product is used.
    """
    bound = len(left) * int(left.abs().max()) * int(right.abs().max())
    if bound < _EXACT_FLOAT:
        return (left.T.to(torch.float64) @ right.to(torch.float64)).to(torch.int64)
    return left.T @ right


def _quantise(numbers: Tensor, bits: int, limit: float, what: str) -> Tensor:
    """Round to multiples of 2^-bits after checking that every number is finite and within the limit."""
    if numbers.ndim != 2 or not numbers.is_floating_point():
        raise InvalidInput(f"expected {what} as a floating-point matrix (N, size)")
    if not torch.isfinite(numbers).all():
        raise InvalidInput(f"{what} hold NaN or infinity")
    if numbers.numel() and numbers.abs().max() > limit:
        raise InvalidInput(f"{what} must not exceed {limit} in magnitude")
    return torch.round(numbers.to(torch.float64) * 2.0**bits).to(torch.int64)
