"""Which shard of a bank holds a fact: a trie over hashes of fact ids whose leaves are the shards.

A leaf is a prefix of hash bits. It is split in two when its facts need more rows than a shard takes, and two
leaves are joined again as soon as one shard could take both. So the leaves, and which facts lie where, are a
function of the *set* of live facts alone: neither the order of writes nor facts that are gone leave a trace
(docs/adr/0008).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from larimar.errors import DuplicateFact, InvalidInput, UnknownFact


class Routing:
    """Facts by leaf. A leaf's name is its prefix of «0» and «1»; the root is «»."""

    def __init__(self, capacity: int) -> None:
        """`capacity`: most rows that one shard takes."""
        if capacity < 1:
            raise InvalidInput("a shard needs a capacity of at least one row")
        self.capacity = capacity
        self._leaves: dict[str, dict[str, int]] = {"": {}}
        self._load: dict[str, int] = {"": 0}

    def __iter__(self) -> Iterator[str]:
        """Names of the leaves that hold a fact, in order."""
        return iter(sorted(name for name, facts in self._leaves.items() if facts))

    def facts(self, leaf: str) -> Mapping[str, int]:
        """Rows by fact id of one leaf."""
        return MappingProxyType(self._leaves[leaf])

    def load(self, leaf: str) -> int:
        """Rows that a leaf's facts take."""
        return self._load[leaf]

    def leaf(self, fact_id: str) -> str:
        """The leaf where a fact lies, or would lie."""
        bits = _bits(fact_id)
        depth = 0
        while bits[:depth] not in self._leaves:
            depth += 1
        return bits[:depth]

    def add(self, fact_id: str, rows: int) -> set[str]:
        """Put a fact in; returns the leaves that are no more because they were split.

        Raises DuplicateFact, and InvalidInput when no shard could take the fact.
        """
        if not 1 <= rows <= self.capacity:
            raise InvalidInput(f"a fact takes 1 to {self.capacity} rows, not {rows}")
        leaf = self.leaf(fact_id)
        if fact_id in self._leaves[leaf]:
            raise DuplicateFact("a fact with this id is in the bank already; forget it first")
        self._leaves[leaf][fact_id] = rows
        self._load[leaf] += rows
        gone = set()
        pending = [leaf]
        while pending:
            full = pending.pop()
            if self._load[full] > self.capacity:
                pending += self._split(full)
                gone.add(full)
        return gone

    def remove(self, fact_id: str) -> set[str]:
        """Take a fact out; returns the leaves that are no more because they were joined. Raises UnknownFact."""
        leaf = self.leaf(fact_id)
        if fact_id not in self._leaves[leaf]:
            raise UnknownFact("a fact with this id is not in the bank")
        self._load[leaf] -= self._leaves[leaf].pop(fact_id)
        gone: set[str] = set()
        while leaf and self._fits_with_sibling(leaf):
            gone |= {leaf, _sibling(leaf)}
            leaf = self._join(leaf)
        return gone

    def _fits_with_sibling(self, leaf: str) -> bool:
        """Whether one shard could take a leaf and its sibling; one that was split further never fits."""
        other = _sibling(leaf)
        return other in self._leaves and self._load[leaf] + self._load[other] <= self.capacity

    def _split(self, leaf: str) -> list[str]:
        """Deal a leaf's facts to two new ones by their next bit."""
        facts = self._leaves.pop(leaf)
        del self._load[leaf]
        made = [leaf + "0", leaf + "1"]
        for name in made:
            self._leaves[name], self._load[name] = {}, 0
        for fact_id, rows in facts.items():
            name = _bits(fact_id)[: len(leaf) + 1]
            self._leaves[name][fact_id] = rows
            self._load[name] += rows
        return made

    def _join(self, leaf: str) -> str:
        """Make one leaf of a leaf and its sibling."""
        parent, both = leaf[:-1], (leaf, _sibling(leaf))
        self._load[parent] = sum(self._load.pop(name) for name in both)
        self._leaves[parent] = {k: v for name in both for k, v in self._leaves.pop(name).items()}
        return parent


def _bits(fact_id: str) -> str:
    """64 bits of a fact id's hash as «0» and «1»."""
    digest = hashlib.sha256(b"larimar shard\0" + fact_id.encode()).digest()
    return f"{int.from_bytes(digest[:8], 'big'):064b}"


def _sibling(leaf: str) -> str:
    """The leaf's name with its last bit turned."""
    return leaf[:-1] + ("1" if leaf[-1] == "0" else "0")
