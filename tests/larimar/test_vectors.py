"""The vector index: it finds the nearest, and what is removed is nowhere any more."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from larimar import vectors
from larimar.errors import InvalidInput, UnknownFact
from larimar.index import ScopeIndex, Stored
from larimar.vectors import Floats, VectorIndex

DIM = 24


def made(count: int, seed: int, dim: int = DIM) -> Floats:
    """Unit vectors (count, dim) that float16 holds exactly."""
    drawn = np.random.default_rng(seed).standard_normal((count, dim))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn.astype(np.float16).astype(np.float32)


def traces(index: VectorIndex, vector: Floats) -> int:
    """How often any 16 bytes of a vector, or its signs, are in the index or in its file."""
    half = vector.astype("<f2").tobytes()
    windows = [half[i : i + 16] for i in range(0, len(half) - 15, 2)]
    windows.append(vectors.sketch(vector[None]).tobytes())
    places = [b.tobytes() for b in index.buffers()] + [index.to_bytes()]
    return sum(window in place for window in windows for place in places)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BLOCK", 7)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("gone", [0, 3, 6, 7, 12, 19])
def test_no_byte_of_a_removed_vector_remains(gone: int) -> None:
    index, rows = VectorIndex(), made(20, 1)
    index.add(np.arange(20), rows)
    assert traces(index, rows[gone]) > 0
    index.remove(gone)
    assert traces(index, rows[gone]) == 0
    assert all(traces(index, rows[i]) > 0 for i in range(20) if i != gone)


class Walk(RuleBasedStateMachine):
    """Random additions, removals and save/load cycles; searches equal brute force over the survivors."""

    def __init__(self) -> None:
        super().__init__()
        self.index, self.alive, self.made = VectorIndex(), {}, 0

    @rule(phrasings=st.integers(1, 5))
    def add(self, phrasings: int) -> None:
        rows = made(phrasings, self.made)
        self.index.add(np.full(phrasings, self.made), rows)
        self.alive[self.made] = rows
        self.made += 1

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.alive:
            owner = data.draw(st.sampled_from(sorted(self.alive)))
            self.index.remove(owner)
            assert traces(self.index, self.alive.pop(owner)[0]) == 0

    @rule()
    def save_and_load(self) -> None:
        self.index = VectorIndex.from_bytes(self.index.to_bytes())

    @invariant()
    def finds_what_brute_force_finds(self) -> None:
        query = made(2, 10**6)
        found = self.index.search(query, 4)
        cosines = [float(max(query @ row)) for rows in self.alive.values() for row in rows]
        assert [c for _, c in found] == pytest.approx(sorted(cosines, reverse=True)[:4], abs=1e-6)
        assert len(self.index) == len(cosines)


@pytest.mark.usefixtures("small_blocks")
class TestWalk(Walk.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_beyond_the_exact_size_the_shortlist_finds_the_nearest() -> None:
    rows = made(vectors.EXACT_ROWS + 2_000, 3, 96)
    index = VectorIndex()
    index.add(np.arange(len(rows)), rows)
    queries = rows[::97] + 0.5 * made(len(rows[::97]), 4, 96)
    truth = (queries @ rows.T).argmax(axis=1)
    found = [index.search(query[None], 1)[0][0] for query in queries]
    assert np.mean(truth == found) >= 0.99


@given(st.sampled_from([np.nan, np.inf, -np.inf]))
def test_vectors_that_are_none_are_refused_and_change_nothing(bad: float) -> None:
    index = VectorIndex()
    index.add(np.arange(3), made(3, 1))
    before = index.to_bytes()
    spoiled = made(2, 2)
    spoiled[1, 1] = bad
    for owners, rows in (
        (np.arange(2), spoiled),
        (np.arange(3), made(2, 2)),
        (np.arange(0), made(0, 2)),
        (np.arange(2), made(2, 2, DIM + 1)),
    ):
        with pytest.raises(InvalidInput):
            index.add(owners, rows)
    with pytest.raises(InvalidInput, match="queries"):
        index.search(made(1, 1, DIM + 1), 1)
    assert index.to_bytes() == before


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_bytes_that_are_no_index_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        VectorIndex.from_bytes(data)


def stored(name: str, seed: int, dim: int = DIM) -> Stored:
    return Stored(name, (), ("one", "two"), made(2, seed, dim), made(2, seed + 1000, dim))


def test_new_phrasings_take_the_place_of_old_ones() -> None:
    index = ScopeIndex()
    index.add_all([stored("a", 1), stored("b", 2)])
    index.add(stored("a", 3))
    assert len(index) == 2
    assert len(index.vectors) == 4
    assert traces(index.vectors, stored("a", 1).plain[0]) == 0
    assert index.candidates(stored("a", 3).plain)[0].fact_id == "a"


def test_the_scope_index_refuses_unknown_facts_and_other_dimensions() -> None:
    index = ScopeIndex()
    index.add(stored("a", 1))
    with pytest.raises(UnknownFact):
        index.remove("b")
    with pytest.raises(InvalidInput, match="dimension"):
        index.add_all([stored("b", 2), stored("c", 3, DIM + 1)])
    assert len(index) == 1


def test_equal_cosines_are_in_order_of_ids_whatever_was_written_first() -> None:
    twins = [stored(name, 5).__class__(name, (), ("t",), made(1, 5), made(1, 5)) for name in "ba"]
    for order in (twins, twins[::-1]):
        index = ScopeIndex()
        index.add_all(order)
        assert index.nearest(made(1, 5)) == ["a", "b"]


@pytest.mark.parametrize("shape", [(1, DIM), (3, DIM), (2, DIM + 1), (0, DIM)])
def test_a_fact_needs_a_plain_and_a_masked_vector_a_phrasing(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput):
        Stored("a", (), ("one", "two"), made(2, 1), np.ones(shape, dtype=np.float32))
