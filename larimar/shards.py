"""The shards of a bank: one exact memory a leaf of the routing, made from the entries when somebody reads it.

A shard is a function of its leaf's entries, so it need not be held: the least recently read are dropped, and a
change of a shard that is not held changes the entries alone. A held shard is updated in place, by the same
exact sums (Eq. 3-4, alpha = +1 and -1).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from larimar.config import LarimarConfig
from larimar.memory import Memory

HELD = 32
"""Shards that stay in memory: 2 MB each for C and 0.3 MB a token of the longest statement for B."""

RowsOf = Callable[[Sequence[str]], tuple[Tensor, Tensor]]
"""Keys (rows, K) and values (rows, C) int64 of facts by id."""


class Shards:
    """Memories by leaf, and the digest of each leaf that has not changed since it was taken."""

    def __init__(
        self, config: LarimarConfig, rows_of: RowsOf, *, held: int = HELD, device: torch.device | str = "cpu"
    ) -> None:
        """`held`: most memories to keep."""
        self._config, self._rows_of, self._held, self._device = config, rows_of, max(1, held), device
        self._memories: OrderedDict[str, Memory] = OrderedDict()
        self._digests: dict[str, bytes] = {}

    def __contains__(self, leaf: str) -> bool:
        """Whether a leaf's memory is held."""
        return leaf in self._memories

    def memory(self, leaf: str, facts: Iterable[str]) -> Memory:
        """The memory of a leaf with these facts: held, or made of them now and held from now on."""
        if leaf not in self._memories:
            self._memories[leaf] = self._made(facts)
            if len(self._memories) > self._held:
                self._memories.popitem(last=False)
        self._memories.move_to_end(leaf)
        return self._memories[leaf]

    def update(self, leaf: str, keys: Tensor, values: Tensor, alpha: int) -> None:
        """Add rows to a held memory (alpha = +1) or subtract them (alpha = -1)."""
        self._memories[leaf].update(keys, values, alpha)

    def changed(self, leaf: str) -> None:
        """The leaf's facts are others now, or their entries are."""
        self._digests.pop(leaf, None)

    def drop(self, leaf: str) -> None:
        """The leaf is no more."""
        self._digests.pop(leaf, None)
        self._memories.pop(leaf, None)

    def digest(self, leaf: str, facts: Sequence[str], entries: Iterable[bytes | bytearray]) -> bytes:
        """SHA-256 over a leaf's C and B, bit for bit, and its entries, in order of ids."""
        if leaf not in self._digests:
            roomy = len(self._memories) < self._held or leaf in self
            memory = self.memory(leaf, facts) if roomy else self._made(facts)
            state = hashlib.sha256(f"larimar shard {leaf}\n{memory.digest()}\n".encode())
            for entry in entries:
                state.update(hashlib.sha256(entry).digest())
            self._digests[leaf] = state.digest()
        return self._digests[leaf]

    def _made(self, facts: Iterable[str]) -> Memory:
        """A memory of these facts' rows and no others."""
        config = self._config
        memory = Memory(
            config.rows, config.latent_dim, ridge=config.ridge, capacity=config.capacity, device=self._device
        )
        if wanted := sorted(facts):
            memory.write(*self._rows_of(wanted))
        return memory
