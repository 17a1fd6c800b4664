"""The Merkle tree of RFC 6962: roots, inclusion proofs and consistency proofs over SHA-256.

    MTH({})     = SHA-256()                      leaf_hash(d)    = SHA-256(0x00 || d)
    MTH(D[0:n]) = node_hash(MTH(D[0:k]), MTH(D[k:n])),  k the largest power of two below n
    node_hash(l, r) = SHA-256(0x01 || l || r);   an odd node moves up as it is, never doubled

Trees are given as sequences of leaf hashes (32 bytes each). Checking follows RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry's bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """All that appending needs: the roots of the complete subtrees, largest first; log2(size) of them."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with one more leaf hash."""
        nodes, carry, size = list(self.nodes), leaf, self.size
        while size & 1:
            carry = node_hash(nodes.pop(), carry)
            size >>= 1
        return Frontier(self.size + 1, (*nodes, carry))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier with these leaf hashes after its own."""
        grown = self
        for leaf in leaves:
            grown = grown.append(leaf)
        return grown

    @property
    def root(self) -> bytes:
        """The root of the tree so far."""
        if not self.nodes:
            return EMPTY_ROOT
        *rest, found = self.nodes
        for node in reversed(rest):
            found = node_hash(node, found)
        return found

    @property
    def proof_of_next(self) -> tuple[bytes, ...]:
        """The inclusion proof that the next leaf will have as the last one of its tree."""
        return tuple(reversed(self.nodes))

    def to_bytes(self) -> bytes:
        """The nodes one after another."""
        return b"".join(self.nodes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote; ValueError when it cannot be the frontier of a tree of that size."""
        if len(data) != HASH_BYTES * size.bit_count():
            raise ValueError("these are not the nodes of a tree of this size")
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Frontier().extend(leaves).root


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """PATH(index, leaves), RFC 6962 2.1.1. IndexError when there is no such leaf."""
    if not 0 <= index < len(leaves):
        raise IndexError("there is no such leaf in this tree")
    path, low, high = [], 0, len(leaves)
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_root_of(leaves, middle, high))
            high = middle
        else:
            path.append(_root_of(leaves, low, middle))
            low = middle
    return tuple(reversed(path))


def consistency_proof(leaves: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """PROOF(first, leaves), RFC 6962 2.1.2. IndexError unless 0 < first <= len(leaves)."""
    if not 0 < first <= len(leaves):
        raise IndexError("the earlier tree must have leaves, and no more than the later one")
    path, low, high, whole = [], 0, len(leaves), True
    while first < high:
        middle = low + _split(high - low)
        if first <= middle:
            path.append(_root_of(leaves, middle, high))
            high = middle
        else:
            path.append(_root_of(leaves, low, middle))
            low, whole = middle, False
    if not whole:
        path.append(_root_of(leaves, low, high))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` (a leaf hash) is number `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            node, last = _up_to_right_child(node, last)
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree of `second` leaves continues the tree of `first` leaves."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    earlier = later = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            earlier, later = node_hash(sibling, earlier), node_hash(sibling, later)
            node, last = _up_to_right_child(node, last)
        else:
            later = node_hash(later, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and earlier == first_root and later == second_root


def _up_to_right_child(node: int, last: int) -> tuple[int, int]:
    """Skip the levels on which the last node moved up alone."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _root_of(leaves: Sequence[bytes], low: int, high: int) -> bytes:
    return root(islice(leaves, low, high))
