"""A bank: the entries that a ledger keeps of its facts, their memories in shards, and the scope index over all.

The bank is a function of the set of its entries: adding the same entries in any order, with whatever detours,
gives the same digest. A fact's rows, its scope vectors and its entry come and go together. There is no upper
limit: shards open and close as facts come and go (docs/adr/0008).
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from larimar.config import ROWS_PER_FACT, LarimarConfig
from larimar.encoder import CODE_BITS
from larimar.entry import Entry, kind_of, value_of
from larimar.errors import DuplicateFact, FactTooLong, InvalidInput, UnknownFact
from larimar.index import ScopeIndex, Stored
from larimar.memory import VALUE_BITS, Memory, hashed_keys
from larimar.routing import Routing
from larimar.shards import HELD, Shards

T = TypeVar("T")


class Decoded(Mapping[str, T]):
    """Packed entries by fact id, decoded one by one as they are asked for; read only."""

    def __init__(self, packed: Mapping[str, bytearray], decode: Callable[[Entry], T]) -> None:
        """`decode`: what of an entry is wanted."""
        self._packed, self._decode = packed, decode

    def __getitem__(self, fact_id: str) -> T:
        """The fact's entry, or the part of it. Raises KeyError."""
        return self._decode(Entry.from_bytes(self._packed[fact_id]))

    def __contains__(self, fact_id: object) -> bool:
        """Whether the fact is there, without decoding it."""
        return fact_id in self._packed

    def __iter__(self) -> Iterator[str]:
        """Fact ids in order of writing."""
        return iter(self._packed)

    def __len__(self) -> int:
        """Facts."""
        return len(self._packed)


class TombstoneIds(Container[str]):
    """Which of packed entries are tombstones."""

    def __init__(self, packed: Mapping[str, bytearray]) -> None:
        """Of these, as they come and go."""
        self._packed = packed

    def __contains__(self, fact_id: object) -> bool:
        """Whether the fact is there and is a tombstone, without decoding it."""
        data = self._packed.get(fact_id) if isinstance(fact_id, str) else None
        return data is not None and kind_of(data) == "tombstone"


class Bank:
    """The state that a forget request changes."""

    def __init__(
        self,
        config: LarimarConfig,
        entries: Iterable[Entry] = (),
        *,
        device: torch.device | str = "cpu",
        held: int = HELD,
    ) -> None:
        """An empty bank, or the one that `entries` make. `held`: most shards to keep in memory."""
        self.config, self.device = config, torch.device(device)
        self._packed: dict[str, bytearray] = {}
        self.entries: Mapping[str, Entry] = Decoded(self._packed, lambda entry: entry)
        """Entries by fact id, read only."""
        scopes: Mapping[str, Stored] = Decoded(self._packed, lambda entry: entry.scope)
        self.tombstones = TombstoneIds(self._packed)
        self.index = ScopeIndex(scopes, self.tombstones)
        self.routing = Routing(config.capacity)
        self.shards = Shards(config, self._rows, held=held, device=device)
        if made := list(entries):
            self.add(made)

    def __len__(self) -> int:
        """Facts and tombstones in the bank."""
        return len(self._packed)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write entries (alpha = +1). Raises DuplicateFact, FactTooLong, InvalidInput; then nothing changed."""
        ids = [entry.fact_id for entry in entries]
        if len(set(ids)) < len(ids) or any(i in self._packed for i in ids):
            raise DuplicateFact("a fact with this id is in the bank already; forget it first")
        taken = [self._rows_taken(entry) for entry in entries]
        self.index.check([entry.scope for entry in entries])
        packed = [bytearray(entry.to_bytes()) for entry in entries]
        self._packed.update(zip(ids, packed, strict=True))
        for leaf in {gone for i, n in zip(ids, taken, strict=True) for gone in self.routing.add(i, n)}:
            self.shards.drop(leaf)
        self._update(self._by_leaf(ids), +1)
        self.index.add_all(entry.scope for entry in entries)

    def remove(self, fact_ids: Sequence[str]) -> None:
        """Forget entries (alpha = -1), with their own keys and values. Raises UnknownFact; then nothing changed."""
        if len(set(fact_ids)) < len(fact_ids) or any(i not in self._packed for i in fact_ids):
            raise UnknownFact("a fact with this id is not in the bank, or it is named twice")
        self._update(self._by_leaf(fact_ids), -1)
        for fact_id in fact_ids:
            for leaf in self.routing.remove(fact_id):
                self.shards.drop(leaf)
            self.index.remove(fact_id)
            entry = self._packed.pop(fact_id)
            entry[:] = bytes(len(entry))

    def replace_scope(self, entry: Entry) -> None:
        """Put an entry with other phrasings in the place of the same fact's entry; the memory stays."""
        old = self.entries.get(entry.fact_id)
        if old is None:
            raise UnknownFact("a fact with this id is not in the bank")
        if old.kind != entry.kind or not torch.equal(old.value, entry.value):
            raise InvalidInput("only the phrasings of a written fact can be replaced")
        packed = bytearray(entry.to_bytes())
        self.index.add(entry.scope)
        before, self._packed[entry.fact_id] = self._packed[entry.fact_id], packed
        before[:] = bytes(len(before))
        self.shards.changed(self.routing.leaf(entry.fact_id))

    def memory_of(self, fact_id: str) -> Memory:
        """The memory of the shard where a fact lies, or would lie; not to be changed."""
        leaf = self.routing.leaf(fact_id)
        return self.shards.memory(leaf, self.routing.facts(leaf))

    def readout(self, fact_ids: Sequence[str]) -> Tensor:
        """What the memory returns at the facts' keys: (N, R · S, d) float32, R the rows of the longest."""
        config, groups = self.config, self._by_leaf(fact_ids)
        rows = {i: self.routing.facts(leaf).get(i, 1) for leaf, facts in groups.items() for i in facts}
        longest = max(rows.values(), default=1)
        slots = torch.zeros(len(fact_ids), longest * config.slots, config.slot_dim, device=self.device)
        parts: dict[str, Tensor] = {}
        for leaf, facts in groups.items():
            memory = self.shards.memory(leaf, self.routing.facts(leaf))
            read = memory.read(self._keys(facts, [rows[i] for i in facts])).to(torch.float32)
            parts.update(zip(facts, read.split([rows[i] for i in facts]), strict=True))
        for place, fact_id in enumerate(fact_ids):
            part = parts[fact_id].reshape(-1, config.slot_dim)
            slots[place, : len(part)] = part
        return slots

    def copy(self) -> Bank:
        """An independent bank in the same state, with its own vectors."""
        return Bank(self.config, self.entries.values(), device=self.device)

    def digest(self, key: bytes = b"") -> str:
        """HMAC-SHA-256 (hex) over the configuration and, shard by shard, the memory's state and every entry."""
        mac = hmac.new(key, digestmod="sha256")
        mac.update(f"larimar bank 2 {self.config.config_hash()}\n".encode())
        for leaf in self.routing:
            facts = sorted(self.routing.facts(leaf))
            mac.update(self.shards.digest(leaf, facts, (self._packed[i] for i in facts)))
        return mac.hexdigest()

    def _rows_taken(self, entry: Entry) -> int:
        """Rows of an entry that this bank can take. Raises FactTooLong, InvalidInput."""
        if entry.value.shape[1] != self.config.slot_dim:
            raise InvalidInput(f"expected an entry of slots of {self.config.slot_dim} numbers")
        rows = -(-len(entry.value) // self.config.slots)
        if rows > min(ROWS_PER_FACT, self.config.capacity):
            raise FactTooLong(
                f"the fact has {len(entry.value)} tokens; a fact may have {ROWS_PER_FACT * self.config.slots}"
            )
        return rows

    def _by_leaf(self, fact_ids: Sequence[str]) -> dict[str, list[str]]:
        """Fact ids, each once, by the leaf where they lie or would lie."""
        groups: dict[str, list[str]] = defaultdict(list)
        for fact_id in dict.fromkeys(fact_ids):
            groups[self.routing.leaf(fact_id)].append(fact_id)
        return groups

    def _update(self, groups: Mapping[str, Sequence[str]], alpha: int) -> None:
        """Write or forget facts, leaf by leaf; a shard that is not held needs nothing."""
        for leaf, facts in groups.items():
            self.shards.changed(leaf)
            if leaf in self.shards:
                self.shards.update(leaf, *self._rows(facts), alpha)

    def _rows(self, fact_ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Keys (rows, K) and values (rows, C) of facts, int64 fixed point."""
        config = self.config
        kept = [value_of(self._packed[i]) for i in fact_ids]
        taken = [-(-len(value) // config.slots) for value in kept]
        values = torch.zeros(sum(taken), config.slots * config.slot_dim, dtype=torch.int64)
        start = 0
        for value, rows in zip(kept, taken, strict=True):
            flat = values[start : start + rows].view(-1)
            flat[: value.numel()] = value.flatten()
            start += rows
        values <<= VALUE_BITS - CODE_BITS
        return self._keys(fact_ids, taken), values.to(self.device)

    def _keys(self, fact_ids: Sequence[str], rows: Sequence[int]) -> Tensor:
        """The keys (sum of rows, K) int64 of facts: derived from the fact id and the number of the row."""
        names = [f"{row} {i}" for i, n in zip(fact_ids, rows, strict=True) for row in range(n)]
        return hashed_keys(names, self.config.rows).to(self.device)
