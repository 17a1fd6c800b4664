"""A bank: one exact memory, the scope index over its facts, and the entries that a ledger keeps of them.

The bank is a function of its entries: adding the same entries in any order gives the same digest. A fact's
row, its scope vectors and its entry come and go together.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from larimar.config import LarimarConfig
from larimar.encoder import CODE_BITS
from larimar.errors import DuplicateFact, InvalidInput, UnknownFact
from larimar.index import ScopeIndex, Stored
from larimar.memory import VALUE_BITS, Memory, hashed_keys

KINDS = ("fact", "tombstone")


@dataclass(frozen=True)
class Entry:
    """What the ledger keeps of one written fact: enough to forget it exactly and to rebuild the bank.

    The key is not kept: it is derived from the fact id.
    """

    fact_id: str
    kind: str
    """`fact` or `tombstone`"""
    value: Tensor
    """(n, d) int16, the codes of the statement's n tokens"""
    answer_tokens: int
    """how many of them are the answer"""
    scope: Stored

    def __post_init__(self) -> None:
        """Refuse entries that no bank could hold."""
        if self.kind not in KINDS or self.value.ndim != 2 or self.value.dtype != torch.int16:
            raise InvalidInput(
                "an entry needs kind 'fact' or 'tombstone' and an int16 value (tokens, slot_dim)"
            )

    def to_bytes(self) -> bytes:
        """The entry as safetensors; the same entry always gives the same bytes."""
        about = {
            "fact_id": self.fact_id,
            "kind": self.kind,
            "names": self.scope.names,
            "texts": self.scope.texts,
        }
        return save_bytes(
            {
                "value": self.value.contiguous(),
                "answer_tokens": torch.tensor([self.answer_tokens], dtype=torch.int32),
                "plain": torch.from_numpy(self.scope.plain),
                "masked": torch.from_numpy(self.scope.masked),
            },
            metadata={"entry": json.dumps(about, sort_keys=True)},
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Entry:
        """The entry that `to_bytes` wrote. Raises InvalidInput when the bytes are not one."""
        try:
            tensors = load_bytes(data)
            length = int.from_bytes(data[:8], "little")
            about = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["entry"])
            stored = Stored(
                about["fact_id"],
                tuple(about["names"]),
                tuple(about["texts"]),
                tensors["plain"].numpy(),
                tensors["masked"].numpy(),
            )
            answer_tokens = int(tensors["answer_tokens"][0])
            return cls(about["fact_id"], about["kind"], tensors["value"], answer_tokens, stored)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise InvalidInput("these bytes are not a ledger entry of this version") from error


class Bank:
    """The state that a forget request changes."""

    def __init__(self, config: LarimarConfig, entries: Iterable[Entry] = ()) -> None:
        """An empty bank, or the one that `entries` make."""
        self.config = config
        self.memory = Memory(config.rows, config.latent_dim, ridge=config.ridge, capacity=config.capacity)
        self.index = ScopeIndex()
        self._entries: dict[str, Entry] = {}
        if made := list(entries):
            self.add(made)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Entries by fact id, read only."""
        return MappingProxyType(self._entries)

    def __len__(self) -> int:
        """Facts and tombstones in the bank."""
        return len(self._entries)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write entries (alpha = +1). Raises DuplicateFact, BankFull, InvalidInput; then nothing changed."""
        ids = [entry.fact_id for entry in entries]
        if len(set(ids)) < len(ids) or any(i in self._entries for i in ids):
            raise DuplicateFact("a fact with this id is in the bank already; forget it first")
        keys, values = self.rows_of(entries)
        self.memory.write(keys, values)
        for entry in entries:
            self._entries[entry.fact_id] = entry
            self.index.add(entry.scope)

    def remove(self, fact_ids: Sequence[str]) -> None:
        """Forget entries (alpha = -1), with their own keys and values. Raises UnknownFact; then nothing changed."""
        if len(set(fact_ids)) < len(fact_ids) or any(i not in self._entries for i in fact_ids):
            raise UnknownFact("a fact with this id is not in the bank, or it is named twice")
        if not fact_ids:
            return
        keys, values = self.rows_of([self._entries[i] for i in fact_ids])
        self.memory.forget(keys, values)
        for fact_id in fact_ids:
            del self._entries[fact_id]
            self.index.remove(fact_id)

    def replace_scope(self, entry: Entry) -> None:
        """Put an entry with other phrasings in the place of the same fact's entry; the memory stays."""
        old = self._entries.get(entry.fact_id)
        if old is None:
            raise UnknownFact("a fact with this id is not in the bank")
        if old.kind != entry.kind or not torch.equal(old.value, entry.value):
            raise InvalidInput("only the phrasings of a written fact can be replaced")
        self._entries[entry.fact_id] = entry
        self.index.add(entry.scope)

    def readout(self, fact_ids: Sequence[str]) -> Tensor:
        """What the memory returns at the facts' keys: (N, S, d) float32."""
        read = self.memory.read(hashed_keys(list(fact_ids), self.config.rows))
        return read.to(torch.float32).unflatten(1, (self.config.slots, self.config.slot_dim))

    def rows_of(self, entries: Sequence[Entry]) -> tuple[Tensor, Tensor]:
        """Keys (N, K) and values (N, C) of entries, int64 fixed point."""
        config = self.config
        values = torch.zeros(len(entries), config.slots, config.slot_dim, dtype=torch.int64)
        for i, entry in enumerate(entries):
            if entry.value.shape[0] > config.slots or entry.value.shape[1] != config.slot_dim:
                raise InvalidInput("the entry was made for another configuration of slots")
            values[i, : len(entry.value)] = entry.value.to(torch.int64) << (VALUE_BITS - CODE_BITS)
        return hashed_keys([e.fact_id for e in entries], config.rows), values.flatten(1)

    def copy(self) -> Bank:
        """An independent bank in the same state, with its own vectors."""
        return Bank(self.config, [Entry.from_bytes(entry.to_bytes()) for entry in self._entries.values()])

    def digest(self, key: bytes = b"") -> str:
        """HMAC-SHA-256 (hex) over the configuration, the memory's state and every entry, in order of ids."""
        mac = hmac.new(key, digestmod="sha256")
        mac.update(f"larimar bank 1 {self.config.config_hash()}\n".encode())
        mac.update(self.memory.digest(key).encode())
        for fact_id in sorted(self._entries):
            mac.update(hashlib.sha256(self._entries[fact_id].to_bytes()).digest())
        return mac.hexdigest()
