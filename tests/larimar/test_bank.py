"""The bank's promise: a function of the set of its entries, bit for bit, however many there are."""

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from larimar.bank import Bank
from larimar.config import ROWS_PER_FACT, preset
from larimar.entry import Entry
from larimar.errors import DuplicateFact, FactTooLong, InvalidInput, UnknownFact
from larimar.index import Stored

CONFIG = preset("tiny", slots=4, slot_dim=4, rows=16)


def entry(name: str, tokens: int = 0, kind: str = "fact", dim: int = 8) -> Entry:
    """An entry that depends on the name alone; 1 to 10 tokens, so 1 to 3 rows, unless told."""
    noise = np.random.default_rng(int.from_bytes(name.encode(), "big"))
    length = tokens or int(noise.integers(1, 11))
    value = torch.from_numpy(noise.integers(-(2**15), 2**15, (length, CONFIG.slot_dim)).astype(np.int16))
    vectors = noise.standard_normal((2, 1, dim)).astype(np.float32)
    return Entry(name, kind, value, 1, Stored(name, (name,), ("X is",), vectors[0], vectors[1]))


def bank(names: list[str], held: int = 32) -> Bank:
    return Bank(CONFIG, [entry(name) for name in names], held=held)


class Walk(RuleBasedStateMachine):
    """Writes, forgets, reads and reloads in any order; the digest is always that of a rebuild."""

    def __init__(self) -> None:
        super().__init__()
        self.bank, self.alive, self.made = Bank(CONFIG, held=3), [], 0

    @rule(count=st.integers(1, 12))
    def write(self, count: int) -> None:
        names = [f"f{self.made + i}" for i in range(count)]
        self.made += count
        self.bank.add([entry(name) for name in names])
        self.alive += names

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        if self.alive:
            gone = data.draw(st.lists(st.sampled_from(self.alive), min_size=1, max_size=12, unique=True))
            self.bank.remove(gone)
            self.alive = [n for n in self.alive if n not in gone]

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        if self.alive:
            some = data.draw(st.lists(st.sampled_from(self.alive), min_size=1, max_size=4))
            assert torch.equal(self.bank.readout(some), bank(self.alive).readout(some))

    @rule()
    def save_and_load(self) -> None:
        ledger = [e.to_bytes() for e in self.bank.entries.values()]
        self.bank = Bank(CONFIG, [Entry.from_bytes(row) for row in reversed(ledger)], held=3)

    @invariant()
    def state_is_that_of_the_survivors(self) -> None:
        assert self.bank.digest() == bank(sorted(self.alive)).digest()
        assert len(self.bank) == len(self.bank.index) == len(self.alive)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_held_shards_are_updated_in_place_and_equal_fresh_ones() -> None:
    """Not only the entries: C and B of memories that lived through the changes."""
    names = [f"n{i}" for i in range(120)]
    lived = bank(names[:100])
    lived.readout(names[:100])
    lived.add([entry(n) for n in names[100:]])
    lived.remove(names[:20])
    fresh = bank(names[20:])
    held = [leaf for leaf in lived.routing if leaf in lived.shards]
    assert len(held) > 5
    for leaf in held:
        facts = lived.routing.facts(leaf)
        assert lived.shards.memory(leaf, ()).digest() == fresh.shards.memory(leaf, facts).digest()


def test_there_is_always_room_and_no_shard_is_over_its_load() -> None:
    full = bank([f"n{i}" for i in range(40 * CONFIG.capacity)])
    assert len(list(full.routing)) > 40
    assert max(full.routing.load(leaf) for leaf in full.routing) <= CONFIG.capacity


def test_a_long_fact_spans_rows_and_lives_and_dies_as_one() -> None:
    never = bank(["a", "b"])
    lived = bank(["a", "b"])
    long = entry("long", tokens=CONFIG.slots * 3 - 1)
    lived.add([long])
    assert lived.memory_of("long").count == never.memory_of("long").count + 3
    read = lived.readout(["long"])[0] * 2.0**11
    assert read.shape == (3 * CONFIG.slots, CONFIG.slot_dim)
    assert torch.allclose(read[: len(long.value)], long.value.float(), rtol=0.05, atol=600)
    assert read[len(long.value) :].abs().max() < 600
    lived.remove(["long"])
    assert lived.digest() == never.digest()


def test_short_and_long_facts_are_read_together() -> None:
    lived = bank(["a", "b"])
    lived.add([entry("long", tokens=9), entry("short", tokens=2)])
    both = lived.readout(["short", "long"])
    assert torch.allclose(both[0, : CONFIG.slots], lived.readout(["short"])[0], atol=1e-6)
    assert not both[0, CONFIG.slots :].any()
    assert torch.allclose(both[1], lived.readout(["long"])[0], atol=1e-6)


def test_forgotten_entries_are_overwritten() -> None:
    lived = bank(["a", "b"])
    packed = lived._packed["a"]
    lived.remove(["a"])
    assert not any(packed)


def test_errors_leave_the_state_as_it_was() -> None:
    lived = bank(["a", "b"])
    before, vectors = lived.digest(), lived.index.vectors.to_bytes()
    with pytest.raises(DuplicateFact):
        lived.add([entry("c"), entry("a")])
    with pytest.raises(DuplicateFact):
        lived.add([entry("c"), entry("c")])
    with pytest.raises(FactTooLong, match=str(ROWS_PER_FACT * CONFIG.slots)):
        lived.add([entry("c"), entry("d", tokens=ROWS_PER_FACT * CONFIG.slots + 1)])
    with pytest.raises(InvalidInput, match="slots of 4"):
        lived.add([entry("c"), replace(entry("d"), value=torch.ones((2, 5), dtype=torch.int16))])
    with pytest.raises(InvalidInput, match="dimension"):
        lived.add([entry("c"), entry("d", dim=9)])
    with pytest.raises(UnknownFact):
        lived.remove(["a", "nobody"])
    with pytest.raises(UnknownFact):
        lived.remove(["a", "a"])
    lived.remove(["b"])
    with pytest.raises(UnknownFact):
        lived.remove(["b"])
    lived.add([entry("b")])
    with pytest.raises(UnknownFact):
        lived.replace_scope(entry("nobody"))
    with pytest.raises(InvalidInput):
        lived.replace_scope(entry("a", tokens=11))
    lived.add([])
    lived.remove([])
    assert lived.digest() == before
    assert len(lived.index.vectors.to_bytes()) == len(vectors)


HALF = "S\ud800"
"""Half of a surrogate pair: no UTF-8."""


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("fact_id", {"fact_id": 7}),
        ("fact_id", {"fact_id": HALF}),
        ("names", {"names": (HALF,)}),
        ("names", {"names": (7,)}),
        ("texts", {"texts": (HALF,)}),
        ("65504", {"plain": np.full((1, 8), 1e5, np.float32)}),
        ("65504", {"masked": np.full((1, 8), -1e5, np.float32)}),
    ],
)
def test_what_cannot_be_packed_is_named_and_refused_before_a_bank_sees_it(
    field: str, changes: dict[str, object]
) -> None:
    good = entry("a")

    def spoiled() -> Entry:
        scope = replace(good.scope, **changes)
        return replace(good, fact_id=scope.fact_id, scope=scope)

    with pytest.raises(InvalidInput, match=field):
        spoiled()


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_an_entry_that_fails_to_be_packed_leaves_the_bank_as_it_was(data: st.DataObject) -> None:
    """Whatever the reason: nothing is written before all entries are bytes."""
    lived = bank(["a", "b"])
    before, vectors = lived.digest(), lived.index.vectors.to_bytes()
    made = [entry(f"n{i}") for i in range(data.draw(st.integers(1, 6)))]
    for broken in (data.draw(st.sampled_from(made)), old := entry("a")):
        object.__setattr__(broken, "marks", ((object(),),))
    with pytest.raises(TypeError):
        lived.add(made)
    with pytest.raises(TypeError):
        lived.replace_scope(old)
    assert (lived.digest(), lived.index.vectors.to_bytes()) == (before, vectors)
    assert len(lived) == len(lived.index) == 2
    lived.remove(["a"])
    lived.add([entry("a"), entry("n0")])


@given(st.text(min_size=1), st.lists(st.text(), max_size=3), st.integers(1, 20), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_entries_survive_their_bytes(name: str, names: list[str], tokens: int, phrasings: int) -> None:
    vectors = np.random.default_rng(tokens).standard_normal((2, phrasings, 6)).astype(np.float32)
    scope = Stored(name, tuple(names), ("t",) * phrasings, vectors[0], vectors[1])
    value = torch.arange(tokens * 3, dtype=torch.int16).reshape(tokens, 3)
    data = Entry(name, "tombstone", value, tokens, scope).to_bytes()
    again = Entry.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.fact_id, again.scope.names, again.answer_tokens) == (name, tuple(names), tokens)
    assert torch.equal(again.value, value)
    assert np.array_equal(again.scope.plain, scope.plain)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_bytes_that_are_no_entry_are_refused(data: st.DataObject) -> None:
    whole = entry("a").to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    for bad in (whole[:cut], whole + b"\0", b"LE1\n" + whole[4:], whole[:4] + b"\x07" + whole[5:]):
        with pytest.raises(InvalidInput):
            Entry.from_bytes(bad)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "rumour"},
        {"value": torch.ones((0, 4), dtype=torch.int16)},
        {"value": torch.ones((2, 4))},
        {"value": torch.ones((2, 4), dtype=torch.int16, device="meta")},
        {"answer_tokens": 0},
        {"answer_tokens": 99},
        {"fact_id": "another"},
    ],
)
def test_entries_that_no_bank_could_hold_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(entry("a"), **changes)


def test_scope_vectors_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InvalidInput, match="NaN"):
        Stored("a", (), ("t",), np.full((1, 4), np.nan, np.float32), np.ones((1, 4), np.float32))


def test_a_bank_tells_tombstones_from_facts_as_they_come_and_go() -> None:
    lived = Bank(CONFIG, [entry("a"), entry("b", kind="tombstone")])
    assert [name in lived.tombstones for name in ("a", "b", "c", 7)] == [False, True, False, False]
    assert lived.index.tombstones is lived.tombstones
    lived.remove(["b"])
    assert "b" not in lived.tombstones
