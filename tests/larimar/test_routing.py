"""Routing: the shards are a function of the set of live facts, and none is ever over its capacity."""

import random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from larimar.errors import DuplicateFact, InvalidInput, UnknownFact
from larimar.routing import Routing

CAPACITY = 12
FACTS = {f"fact {i}": 1 + i % 4 for i in range(150)}


def shape(routing: Routing) -> dict[str, dict[str, int]]:
    return {leaf: dict(sorted(routing.facts(leaf).items())) for leaf in routing}


def routed(names: list[str]) -> Routing:
    routing = Routing(CAPACITY)
    for name in names:
        routing.add(name, FACTS[name])
    return routing


@given(
    kept=st.sets(st.sampled_from(sorted(FACTS))),
    gone=st.sets(st.sampled_from(sorted(FACTS))),
    seed=st.integers(0, 999),
)
@settings(max_examples=150, deadline=None)
def test_the_shape_is_that_of_the_survivors_in_any_order(kept: set[str], gone: set[str], seed: int) -> None:
    order = random.Random(seed)
    names = sorted(kept | gone)
    order.shuffle(names)
    walked = routed(names)
    leaving = sorted(gone - kept)
    order.shuffle(leaving)
    for name in leaving:
        walked.remove(name)
    assert shape(walked) == shape(routed(sorted(kept)))
    assert all(walked.load(leaf) == sum(walked.facts(leaf).values()) <= CAPACITY for leaf in walked)


def test_leaves_that_are_no_more_are_named() -> None:
    routing, alive = Routing(CAPACITY), {""}
    for name, rows in FACTS.items():
        gone = routing.add(name, rows)
        assert not gone & set(routing)
        alive = (alive - gone) | set(routing)
    assert len(alive) > 20
    gone = {leaf for name in list(FACTS)[:-1] for leaf in routing.remove(name)}
    assert gone >= alive - {""}
    assert list(routing) == [""]


def test_bad_facts_change_nothing() -> None:
    routing = routed(list(FACTS)[:40])
    before = shape(routing)
    with pytest.raises(DuplicateFact):
        routing.add("fact 0", 1)
    with pytest.raises(UnknownFact):
        routing.remove("nobody")
    for rows in (0, -1, CAPACITY + 1):
        with pytest.raises(InvalidInput):
            routing.add("new", rows)
    with pytest.raises(InvalidInput):
        Routing(0)
    assert shape(routing) == before
