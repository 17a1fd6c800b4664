"""The vector index: it finds the nearest, and what is removed is nowhere any more."""

from collections.abc import Sequence
from dataclasses import replace
from math import fsum
from random import Random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
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
        best = {owner: float((rows @ query.T).max()) for owner, rows in self.alive.items()}
        assert [c for _, c in found] == pytest.approx(sorted(best.values(), reverse=True)[:4], abs=1e-6)
        assert [c for _, c in found] == pytest.approx([best[owner] for owner, _ in found], abs=1e-6)
        assert len(self.index) == sum(map(len, self.alive.values()))


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


def test_facts_are_found_by_initials_and_removed_ones_leave_none() -> None:
    index = ScopeIndex()
    paul, mary, ada = (
        replace(stored(name, i), names=(name,)) for i, name in enumerate(["Paul M", "Peter M", "Ada L"])
    )
    index.add_all([ada, mary, paul])
    query = paul.plain[:1]
    assert index.called(["pm", "xy"], query) == ["Paul M", "Peter M"]
    assert index.called(["pm"], mary.plain[:1], most=1) == ["Peter M"]
    assert index.called(["xy"], query) == []
    index.add(replace(paul, names=("Ada L",)))
    assert index.called(["pm"], query) == ["Peter M"]
    index.remove("Peter M")
    assert set(index.initials) == {"al"}
    index.remove("Paul M")
    index.remove("Ada L")
    assert index.initials == {}


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


def phrased(name: str, rows: Floats) -> Stored:
    return Stored(name, (), ("t",) * len(rows), rows, rows)


def indexed(facts: Sequence[Stored]) -> ScopeIndex:
    index = ScopeIndex()
    for fact in facts:
        index.add(fact)
    return index


def test_which_of_many_equal_facts_are_nearest_does_not_depend_on_history() -> None:
    facts = [phrased(f"a{i:02}", made(1, 5)) for i in range(40)]
    reverse, sorted_by_id = indexed(facts[::-1]), indexed(facts)
    lived = indexed([phrased("x", made(1, 6)), *facts[::-1]])
    lived.remove("x")
    for index in (reverse, lived, sorted_by_id):
        assert index.nearest(made(1, 5)) == [f"a{i:02}" for i in range(8)]


@pytest.fixture(params=["exact", "shortlist"])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches in small blocks, once of all rows and once of a short shortlist."""
    limits = {"BLOCK": 40, "PORTION": 16, "EXACT_ROWS": 10 if request.param == "shortlist" else 2_048}
    for name, limit in (limits | {"SHORTLIST": 8, "TIED": 4}).items():
        monkeypatch.setattr(vectors, name, limit)


@pytest.mark.usefixtures("ways")
def test_a_fact_with_many_phrasings_does_not_crowd_out_the_others() -> None:
    query = made(1, 1)
    near = [query + 0.05 * made(40, 2), *(0.9 * query + 0.2 * made(1, 3 + i) for i in range(9))]
    index = indexed([phrased(name, rows) for name, rows in zip("abcdefghij", near, strict=True)])
    cosines = {"abcdefghij"[i]: float((rows @ query.T).max()) for i, rows in enumerate(near)}
    wanted = sorted(cosines, key=lambda name: -cosines[name])[:8]
    found = index.nearest(query)
    assert found[0] == wanted[0] == "a"
    assert len(found) == 8
    assert found == wanted or vectors.EXACT_ROWS == 10


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Stored], list[Stored], list[Stored]]:
    """Facts of few vectors, some of them nearly equal; the same in another order; and facts to be forgotten."""
    few = np.concatenate([made(3, 1, 96), made(3, 1, 96) + 0.002 * made(3, 2, 96)])
    rows = st.lists(st.integers(0, len(few) - 1), min_size=1, max_size=4)
    some = draw(st.lists(rows, min_size=1, max_size=60))
    facts = [phrased(f"f{i:02}", few[at]) for i, at in enumerate(some)]
    gone = [phrased(f"x{i}", few[at]) for i, at in enumerate(draw(st.lists(rows, max_size=20)))]
    return facts, draw(st.permutations(facts)), gone


@pytest.mark.usefixtures("ways")
@given(histories(), st.randoms(), st.integers(1, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_banks_give_equal_answers(
    made_of: tuple[list[Stored], list[Stored], list[Stored]], chance: Random, most: int
) -> None:
    facts, shuffled, gone = made_of
    mixed = [*shuffled, *gone]
    chance.shuffle(mixed)
    lived, fresh = indexed(mixed), indexed(facts)
    for fact in chance.sample(gone, len(gone)):
        lived.remove(fact.fact_id)
    several = (made(1, 1, 96), made(3, 1, 96), made(2, 9, 96))
    assert lived.nearest_each(several, most) == [fresh.nearest(queries, most) for queries in several]
    for queries in several:
        assert lived.nearest(queries, most) == fresh.nearest(queries, most)
        assert answers(lived, queries, most) == answers(fresh, queries, most)
        if vectors.EXACT_ROWS > 10:
            assert fresh.nearest(queries, most) == by_brute_force(facts, queries, most)


def answers(index: ScopeIndex, queries: Floats, most: int) -> list[tuple[str, float]]:
    """What a search finds, by fact ids; cosines bit for bit."""
    return sorted((index._fact[owner], cosine) for owner, cosine in index.vectors.search(queries, most))


def by_brute_force(facts: Sequence[Stored], queries: Floats, most: int) -> list[str]:
    """Ids by exact cosines (sums of float64 numbers by `fsum`) and then by id."""
    pairs = [
        (-max(fsum(row.astype(float) * query) for row in fact.plain for query in queries), fact.fact_id)
        for fact in facts
    ]
    return [fact_id for _, fact_id in sorted(pairs)[:most]]


def test_equal_rows_have_equal_signs_and_cosines_wherever_they_lie() -> None:
    rows, query = made(1, 1, 384), made(1, 2, 384)
    rows = np.concatenate([made(50, 3, 384), np.repeat(rows, 1_949, axis=0)])
    index = VectorIndex()
    index.add(np.arange(len(rows)), rows)
    assert len({cosine for owner, cosine in index.search(query, len(rows)) if owner >= 50}) == 1
    assert len({row.tobytes() for row in index._blocks[0].sketches[50 : len(rows)]}) == 1


def test_thousands_of_equal_rows_are_all_found() -> None:
    index = ScopeIndex()
    index.add_all([phrased(f"f{i:05}", made(1, 1)) for i in reversed(range(6_000))])
    assert index.nearest(made(1, 1)) == [f"f{i:05}" for i in range(8)]


@pytest.mark.parametrize("shape", [(1, DIM), (3, DIM), (2, DIM + 1), (0, DIM)])
def test_a_fact_needs_a_plain_and_a_masked_vector_a_phrasing(shape: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput):
        Stored("a", (), ("one", "two"), made(2, 1), np.ones(shape, dtype=np.float32))
