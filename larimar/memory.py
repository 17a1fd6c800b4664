"""The least-squares memory (paper, section 3) in its exact, fixed-point form.

The state is not M but its sufficient statistics C = WᵀW and B = WᵀZ, held as int64 fixed point. Integer
sums are the same in any order on any machine, so after write + forget the state equals the never-written
state bit for bit, and a rebuild from the surviving ledger proves it. M = (C + lambda I)^-1 B, the solution
of Eq. 5-6, need not be known for a read: w (C + lambda I)^-1 is two triangular solves with the Cholesky factor,
which is taken at the first read after a change.

    write   (alpha = +1)   C += wᵀw,  B += wᵀz      (Eq. 3; Eq. 4 in information form)
    forget  (alpha = -1)   C -= wᵀw,  B -= wᵀz      (with the ledger's own w and z, never re-encoded)
    read                   z = w M = (w (C + lambda I)^-1) B
    generate               z = w M with w ~ N(0, I)   (Algorithm 1)

Sequential and batch updates are the same sums. State and rows live on one device; the digest does not depend
on which.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from functools import cached_property

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor
from torch.nn import functional as F

from larimar.errors import BankFull, InvalidInput

KEY_BITS = 22
"""Keys are multiples of 2^-22, |w| <= 1."""
VALUE_BITS = 17
"""Values are multiples of 2^-17, |z| <= 16."""
_MAX_VALUE = 16.0
_EXACT_FLOAT = 2**53
_LOOKED_AT = 64
"""Columns that are looked at together for the last one that is not zero."""
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
    width = (rows + 7) // 8
    stream = b"".join(hashlib.shake_256(b"larimar key\0" + name.encode()).digest(width) for name in names)
    packed = np.frombuffer(stream, dtype=np.uint8).reshape(len(names), width)
    bits = np.unpackbits(packed, axis=1, count=rows, bitorder="little")
    return (2 * torch.from_numpy(bits).to(torch.int64) - 1) * scale


class Memory:
    """One memory matrix of K rows over latents of C numbers; refuses more than `capacity` rows written.

    Columns of B after the last one that is not zero are not held: which columns are solved is part of the
    state, so reads too are those of the never-written memory, bit for bit.
    """

    def __init__(
        self,
        rows: int,
        latent_dim: int,
        *,
        ridge: float = 1e-4,
        capacity: int | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """An empty memory. `capacity` None lifts the limit to the one of int64 (2^18 rows)."""
        if rows < 1 or latent_dim < 1 or not 0 < ridge < float("inf"):
            raise InvalidInput("a memory needs rows and latent_dim of at least 1 and a ridge above 0")
        if capacity is not None and capacity < 1:
            raise InvalidInput("a memory needs a capacity of at least 1, or None")
        self.rows, self.latent_dim, self.ridge = rows, latent_dim, ridge
        self.capacity = min(capacity or _MAX_ROWS_WRITTEN, _MAX_ROWS_WRITTEN)
        self.device = torch.device(device)
        self.count = 0
        self._covariance = torch.zeros(rows, rows, dtype=torch.int64, device=self.device)
        self._cross = torch.zeros(rows, 0, dtype=torch.int64, device=self.device)

    def write(self, keys: Tensor, values: Tensor) -> None:
        """Add rows (alpha = +1): keys (N, K), values (N, C), int64 fixed point. Raises BankFull, InvalidInput."""
        self.update(keys, values, +1)

    def forget(self, keys: Tensor, values: Tensor) -> None:
        """Subtract rows that were written (alpha = -1): the very same keys and values. Raises InvalidInput."""
        self.update(keys, values, -1)

    def update(self, keys: Tensor, values: Tensor, alpha: int) -> None:
        """Eq. 3 and 4 for one batch: alpha = +1 writes, alpha = -1 forgets. Raises BankFull, InvalidInput."""
        if alpha not in (1, -1):
            raise InvalidInput("alpha must be +1 (write) or -1 (forget)")
        self._check(keys, values)
        if alpha > 0 and self.count + len(keys) > self.capacity:
            raise BankFull(
                f"the memory holds {self.count} of at most {self.capacity} rows; open another shard"
            )
        if alpha < 0 and len(keys) > self.count:
            raise InvalidInput(f"cannot forget {len(keys)} rows of a memory that holds {self.count}")
        width = _width(values)
        self._widen(width)
        self._covariance.add_(exact_product(keys, keys), alpha=alpha)
        self._cross[:, :width].add_(exact_product(keys, values[:, :width]), alpha=alpha)
        self._cross = _trimmed(self._cross)
        self.count += alpha * len(keys)
        self._drop_solved()

    def read(self, keys: Tensor) -> Tensor:
        """Readout (N, C) float64 of keys (N, K) int64: z = w (C + lambda I)^-1 B. Raises InvalidInput.

        The same bits for the same state and keys, whatever was read before.
        """
        self._check_keys(keys)
        return self._combine(keys.to(torch.float64) * 2.0**-KEY_BITS)

    def generate(self, count: int, noise: torch.Generator) -> Tensor:
        """Latents (count, C) float64 that the memory makes up: z = w M, w ~ N(0, I) (Algorithm 1)."""
        if count < 1:
            raise InvalidInput("expected a count of at least 1")
        drawn = torch.randn(count, self.rows, generator=noise, dtype=torch.float64, device=noise.device)
        return self._combine(drawn.to(self.device))

    def solution(self) -> Tensor:
        """M (K, C) float64, the least-squares solution of Eq. 5-6 with the ridge; solved at every call."""
        return self._padded(torch.cholesky_solve(self._columns, self._factor))

    @property
    def cross(self) -> Tensor:
        """B (K, C) int64 in units of 2^-39, for the joint read (`larimar.joint`); not to be changed."""
        return self._padded(self._cross)

    def copy(self) -> Memory:
        """An independent memory in the same state."""
        return self.to(self.device)

    def to(self, device: torch.device | str) -> Memory:
        """An independent memory in the same state on a device."""
        twin = Memory(self.rows, self.latent_dim, ridge=self.ridge, capacity=self.capacity, device=device)
        twin.count = self.count
        twin._covariance = self._covariance.to(twin.device, copy=True)
        twin._cross = self._cross.to(twin.device, copy=True)
        return twin

    def digest(self, key: bytes = b"") -> str:
        """HMAC-SHA-256 (hex) over sizes and state; equal if and only if the states are equal, bit for bit."""
        mac = hmac.new(key, digestmod="sha256")
        mac.update(f"larimar memory 2 {self.rows} {self.latent_dim} {self.count} {self.ridge!r}\n".encode())
        for part in (self._covariance, self._cross):
            mac.update(part.cpu().contiguous().numpy().astype("<i8", copy=False).tobytes())
        return mac.hexdigest()

    def to_bytes(self) -> bytes:
        """The state as safetensors."""
        about: dict[str, float] = {"rows": self.rows, "latent_dim": self.latent_dim, "count": self.count}
        about |= {"ridge": self.ridge, "capacity": self.capacity, "version": 2}
        state = {"covariance": self._covariance.cpu(), "cross": self._cross.cpu().contiguous()}
        return save_bytes(state, metadata={"memory": json.dumps(about, sort_keys=True)})

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | str = "cpu") -> Memory:
        """The memory that `to_bytes` wrote. Raises InvalidInput when the bytes are not one."""
        try:
            tensors = load_bytes(data)
            length = int.from_bytes(data[:8], "little")
            about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["memory"])
            made = cls(about["rows"], about["latent_dim"], ridge=about["ridge"], capacity=about["capacity"])
            count, covariance, cross = about["count"], tensors["covariance"], tensors["cross"]
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise InvalidInput("these bytes are not a memory of this version") from error
        fits = covariance.shape == made._covariance.shape and cross.shape[:1] == (made.rows,)
        whole = covariance.dtype == cross.dtype == torch.int64
        flat = cross.ndim == 2 and cross.shape[1] <= made.latent_dim
        if not (fits and whole and flat and isinstance(count, int) and 0 <= count <= made.capacity):
            raise InvalidInput("the sizes of a stored memory do not fit each other")
        made.count, made._covariance, made._cross = count, covariance, _trimmed(cross)
        return made.to(device)

    @cached_property
    def _factor(self) -> Tensor:
        """Lower Cholesky factor (K, K) float64 of C + lambda I, taken at the first read after a change.

        Raises InvalidInput where there is none: then rows were taken out that had not been written.
        """
        covariance = self._covariance.to(torch.float64).mul_(2.0 ** (-2 * KEY_BITS))
        covariance.diagonal().add_(self.ridge)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if failed:
            raise InvalidInput(
                "the memory cannot be read: rows were forgotten that were never written; write them back, or "
                "build it anew from the ledger"
            )
        return factor

    @cached_property
    def _columns(self) -> Tensor:
        """The held columns of B (K, held) as float64."""
        return self._cross.to(torch.float64).mul_(2.0 ** -(KEY_BITS + VALUE_BITS))

    def _combine(self, weights: Tensor) -> Tensor:
        """w M (N, C) of weights (N, K) float64; a function of the state and the weights, not of earlier reads."""
        half = torch.linalg.solve_triangular(self._factor, weights.mT, upper=False)
        solved = torch.linalg.solve_triangular(self._factor.mT, half, upper=True)
        return self._padded(solved.mT @ self._columns)

    def _padded(self, columns: Tensor) -> Tensor:
        """The columns that are held, and zeros up to C."""
        return F.pad(columns, (0, self.latent_dim - columns.shape[1]))

    def _widen(self, width: int) -> None:
        """Hold at least `width` columns of B."""
        if width > self._cross.shape[1]:
            self._cross = F.pad(self._cross, (0, width - self._cross.shape[1]))

    def _drop_solved(self) -> None:
        """Drop what was made of the old state."""
        self.__dict__.pop("_factor", None)
        self.__dict__.pop("_columns", None)

    def _check_keys(self, keys: Tensor) -> None:
        """Device, integer type, shape and range of keys."""
        if keys.device.type != self.device.type:
            raise InvalidInput(f"expected tensors on {self.device.type}, got {keys.device.type}")
        if keys.dtype != torch.int64:
            raise InvalidInput(f"keys must be int64 fixed point, not {keys.dtype}; use quantise_keys")
        if keys.ndim != 2 or keys.shape[1] != self.rows or len(keys) == 0:
            raise InvalidInput(f"expected keys (N, {self.rows}) with N of at least 1")
        if _largest(keys) > 2**KEY_BITS:
            raise InvalidInput("a key is above 1 in magnitude")

    def _check(self, keys: Tensor, values: Tensor) -> None:
        """Everything about a batch that can be wrong, before anything changes."""
        self._check_keys(keys)
        if values.device != keys.device:
            raise InvalidInput(f"expected keys and values on one device, got {values.device.type} as well")
        if values.dtype != torch.int64:
            raise InvalidInput(f"values must be int64 fixed point, not {values.dtype}; use quantise_values")
        if values.shape != (len(keys), self.latent_dim):
            raise InvalidInput(f"expected values ({len(keys)}, {self.latent_dim}), as many as keys")
        if _largest(values) > _MAX_VALUE * 2**VALUE_BITS:
            raise InvalidInput("a value is above 16 in magnitude")


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """leftᵀ · right of int64 matrices (N, A), (N, B) as int64 (A, B), without rounding, on either device.

    Float64 products are exact (and many times faster than integer ones, which CUDA has not) while no partial
    sum can reach 2^53, so rows are taken in portions that keep below. Raises InvalidInput when a single
    product could reach it.
    """
    largest = max(1, _largest(left) * _largest(right))
    portion = (_EXACT_FLOAT - 1) // largest
    if portion == 0:
        raise InvalidInput("products of these integers do not fit into 53 bits")
    total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.int64, device=left.device)
    for start in range(0, len(left), portion):
        some = slice(start, start + portion)
        total += (left[some].T.to(torch.float64) @ right[some].to(torch.float64)).to(torch.int64)
    return total


def _largest(numbers: Tensor) -> int:
    """The largest magnitude of an int64 matrix, without the overflow that abs has at -2^63."""
    low, high = (int(n) for n in numbers.aminmax()) if numbers.numel() else (0, 0)
    return max(-low, high)


def _width(numbers: Tensor) -> int:
    """How many columns there are up to the last one that is not zero; looks from the right."""
    width = numbers.shape[1]
    while width:
        start = max(0, width - _LOOKED_AT)
        filled = (numbers[:, start:width] != 0).any(dim=0).nonzero()
        if len(filled):
            return start + int(filled[-1]) + 1
        width = start
    return 0


def _trimmed(numbers: Tensor) -> Tensor:
    """The columns up to the last one that is not zero, side by side in memory."""
    return numbers[:, : _width(numbers)].contiguous()


def _quantise(numbers: Tensor, bits: int, limit: float, what: str) -> Tensor:
    """Round to multiples of 2^-bits after checking that every number is finite and within the limit."""
    if numbers.ndim != 2 or not numbers.is_floating_point():
        raise InvalidInput(f"expected {what} as a floating-point matrix (N, size)")
    if not torch.isfinite(numbers).all():
        raise InvalidInput(f"{what} hold NaN or infinity")
    if numbers.numel() and numbers.abs().max() > limit:
        raise InvalidInput(f"{what} must not exceed {limit} in magnitude")
    return torch.round(numbers.to(torch.float64) * 2.0**bits).to(torch.int64)
