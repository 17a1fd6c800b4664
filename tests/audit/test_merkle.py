"""The tree is RFC 6962's: the published values, every proof of every small tree, and no forged one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle
from audit.merkle import Frontier, leaf_hash, node_hash

# The test tree of Certificate Transparency's reference implementation (merkle_tree_test.cc; the same values
# are in github.com/transparency-dev/merkle, testonly/constants.go).
INPUTS = [
    bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")
] + [bytes(range(0x60, 0x70))]
LEAVES = [leaf_hash(data) for data in INPUTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
PATHS = [  # leaf, tree size, audit path
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], B, D]),
]
CONSISTENCY = [  # first, second, proof
    (1, 1, []),
    (1, 8, [A, B, C]),
    (6, 8, [F, E, ROOTS[4]]),
    (2, 5, [B, D]),
]


def tree(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH, word for word from RFC 6962 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(reference_root(leaves[:split]), reference_root(leaves[split:]))


def test_published_roots() -> None:
    assert [merkle.root(LEAVES[:size]).hex() for size in range(9)] == ROOTS


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_audit_paths(index: int, size: int, path: list[str]) -> None:
    proof = merkle.inclusion_proof(LEAVES[:size], index)
    assert [node.hex() for node in proof] == path
    assert merkle.verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "path"), CONSISTENCY)
def test_published_consistency_proofs(first: int, second: int, path: list[str]) -> None:
    proof = merkle.consistency_proof(LEAVES[:second], first)
    assert [node.hex() for node in proof] == path
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert merkle.verify_consistency(first, second, *roots, proof)


@pytest.mark.parametrize("size", [*range(1, 34), 100, 257])
def test_every_proof_of_every_leaf_holds_and_holds_for_nothing_else(size: int) -> None:
    leaves = tree(size)
    top = merkle.root(leaves)
    assert top == reference_root(leaves)
    for index in range(size):
        proof = merkle.inclusion_proof(leaves, index)
        assert merkle.verify_inclusion(leaves[index], index, size, proof, top)
        assert not merkle.verify_inclusion(leaves[index], index + 1, size, proof, top)
        assert not merkle.verify_inclusion(leaves[index - 1], index, size, proof, top) or size == 1
        assert not merkle.verify_inclusion(leaves[index], index, size, (*proof, top), top)
        if proof:
            assert not merkle.verify_inclusion(leaves[index], index, size, proof[:-1], top)


@pytest.mark.parametrize("second", [*range(1, 20), 64, 65])
def test_every_consistency_proof_holds_and_a_rewritten_past_does_not(second: int) -> None:
    leaves = tree(second)
    top = merkle.root(leaves)
    for first in range(1, second + 1):
        proof = merkle.consistency_proof(leaves, first)
        assert merkle.verify_consistency(first, second, merkle.root(leaves[:first]), top, proof)
        forged = merkle.root([leaf_hash(b"another past"), *leaves[1:first]])
        assert not merkle.verify_consistency(first, second, forged, top, proof)


def test_a_frontier_grows_into_the_same_tree_and_proves_its_last_leaf() -> None:
    leaves, grown = tree(130), Frontier()
    for index, leaf in enumerate(leaves):
        proof, grown = grown.proof_of_next, grown.append(leaf)
        assert proof == merkle.inclusion_proof(leaves[: index + 1], index)
        assert Frontier.from_bytes(grown.size, grown.to_bytes()) == grown
    assert grown.root == reference_root(leaves)


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        Frontier.from_bytes(6, Frontier().extend(tree(7)).to_bytes())


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_of_a_leaf_outside(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_proof(tree(3), index)
    assert not merkle.verify_inclusion(tree(3)[0], index, 3, (), merkle.root(tree(3)))


@pytest.mark.parametrize("first", [0, 4])
def test_there_is_no_consistency_with_nothing_or_with_more(first: int) -> None:
    with pytest.raises(IndexError):
        merkle.consistency_proof(tree(3), first)


@given(st.integers(1, 200), st.data())
def test_one_flipped_bit_of_a_proof_is_found(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(leaves, index)
    if not proof:
        return
    place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    flipped = bytearray(proof[place])
    flipped[bit // 8] ^= 1 << bit % 8
    forged = (*proof[:place], bytes(flipped), *proof[place + 1 :])
    assert not merkle.verify_inclusion(leaves[index], index, size, forged, merkle.root(leaves))
