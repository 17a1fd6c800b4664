"""The memory's promise: exact sums, least squares, and a state that forgets bit for bit."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from larimar.errors import BankFull, InvalidInput
from larimar.memory import (
    KEY_BITS,
    VALUE_BITS,
    Memory,
    exact_product,
    hashed_keys,
    quantise_keys,
    quantise_values,
)
from larimar.recursion import initial, update

ROWS, WIDTH, RIDGE = 24, 10, 1e-4


def rows(names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values that depend on the names alone."""
    seeds = [int.from_bytes(n.encode(), "big") % 2**31 for n in names]
    values = [torch.randn(WIDTH, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return hashed_keys(names, ROWS), quantise_values(torch.stack(values))


def filled(names: list[str]) -> Memory:
    memory = Memory(ROWS, WIDTH, ridge=RIDGE)
    if names:
        memory.write(*rows(names))
    return memory


def floats(names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    keys, values = rows(names)
    return keys.double() * 2.0**-KEY_BITS, values.double() * 2.0**-VALUE_BITS


class Walk(RuleBasedStateMachine):
    """Random writes and forgets, one by one and in batches; a rebuild from the survivors has the same bits."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.alive, self.made = Memory(ROWS, WIDTH, ridge=RIDGE), [], 0

    @rule(count=st.integers(1, 5))
    def write(self, count: int) -> None:
        names = [f"f{self.made + i}" for i in range(count)]
        self.made += count
        self.memory.write(*rows(names))
        self.alive += names

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        if self.alive:
            gone = data.draw(st.lists(st.sampled_from(self.alive), min_size=1, max_size=4, unique=True))
            self.memory.forget(*rows(gone))
            self.alive = [n for n in self.alive if n not in gone]

    @invariant()
    def state_is_that_of_the_survivors(self) -> None:
        assert self.memory.digest() == filled(sorted(self.alive)).digest()


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_forgetting_restores_the_never_written_state_bit_for_bit() -> None:
    never = filled(["a", "b", "c"])
    memory = filled(["a", "b", "c"])
    memory.write(*rows(["x", "y"]))
    assert memory.digest() != never.digest()
    memory.forget(*rows(["y", "x"]))
    assert memory.digest() == never.digest()
    assert torch.equal(memory.solution(), never.solution())


def test_the_digest_is_keyed() -> None:
    assert filled(["a"]).digest(b"one") != filled(["a"]).digest(b"two")


@given(st.integers(2, 30))
@settings(max_examples=15, deadline=None)
def test_the_solution_is_the_ridge_least_squares_solution(count: int) -> None:
    names = [f"n{i}" for i in range(count)]
    keys, values = floats(names)
    stacked = np.vstack([keys.numpy(), np.sqrt(RIDGE) * np.eye(ROWS)])
    expected = np.linalg.lstsq(stacked, np.vstack([values.numpy(), np.zeros((ROWS, WIDTH))]), rcond=None)[0]
    solution = filled(names).solution().numpy()
    assert np.linalg.norm(solution - expected) <= 1e-9 * np.linalg.norm(expected)


@given(st.permutations([f"n{i}" for i in range(12)]), st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_it_agrees_with_the_papers_recursion(order: list[str], gone: int) -> None:
    """Eq. 2-4, updated one row at a time, alpha = +1 then -1."""
    covariance, memory = initial(*floats(order[:2]), RIDGE)
    for name in order[2:]:
        covariance, memory = update(covariance, memory, *floats([name]), +1)
    for name in order[:gone]:
        covariance, memory = update(covariance, memory, *floats([name]), -1)
    exact = filled(order[gone:]).solution()
    assert torch.linalg.norm(memory - exact) <= 1e-7 * torch.linalg.norm(exact)


def test_reads_return_what_was_written_while_there_is_room() -> None:
    names = [f"n{i}" for i in range(ROWS // 2)]
    keys, _ = rows(names)
    read, (_, values) = filled(names).read(keys), floats(names)
    assert torch.linalg.norm(read - values) <= 0.01 * torch.linalg.norm(values)


def test_exact_products_do_not_round_beyond_the_range_of_float64() -> None:
    """Every product fits into 53 bits, their sum does not: rows are taken in portions."""
    odd = torch.full((9, 1), 2**26 - 1)
    assert exact_product(odd, odd).item() == 9 * (2**26 - 1) ** 2
    assert float(9 * (2**26 - 1) ** 2) != 9 * (2**26 - 1) ** 2


def test_products_that_no_portion_keeps_exact_are_refused() -> None:
    with pytest.raises(InvalidInput, match="53 bits"):
        exact_product(torch.tensor([[2**40]]), torch.tensor([[2**20]]))


def test_keys_have_unit_norm_and_depend_on_the_name_alone() -> None:
    keys = hashed_keys(["a", "b"], 512).double() * 2.0**-KEY_BITS
    assert torch.allclose(keys.norm(dim=1), torch.ones(2, dtype=torch.float64), atol=1e-5)
    assert torch.equal(hashed_keys(["b"], 512)[0], hashed_keys(["a", "b"], 512)[1])


def test_a_full_memory_refuses_and_stays_as_it_was() -> None:
    memory = Memory(ROWS, WIDTH, capacity=3)
    memory.write(*rows(["a", "b"]))
    before = memory.digest()
    with pytest.raises(BankFull, match="2 of at most 3"):
        memory.write(*rows(["c", "d"]))
    assert memory.digest() == before


@pytest.mark.parametrize(
    "bad",
    [
        torch.full((1, ROWS), float("nan")),
        torch.full((1, ROWS), float("inf")),
        torch.full((1, ROWS), 1.5),
        torch.ones(ROWS),
        torch.ones((1, ROWS), dtype=torch.int64),
    ],
)
def test_keys_that_cannot_be_keys_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(InvalidInput):
        quantise_keys(bad)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (torch.ones((1, ROWS)), torch.ones((1, WIDTH))),
        (torch.ones((1, ROWS + 1), dtype=torch.int64), torch.ones((1, WIDTH), dtype=torch.int64)),
        (torch.ones((2, ROWS), dtype=torch.int64), torch.ones((1, WIDTH), dtype=torch.int64)),
        (torch.ones((0, ROWS), dtype=torch.int64), torch.ones((0, WIDTH), dtype=torch.int64)),
        (torch.full((1, ROWS), 2**40), torch.ones((1, WIDTH), dtype=torch.int64)),
    ],
)
def test_bad_rows_change_nothing(keys: torch.Tensor, values: torch.Tensor) -> None:
    memory = filled(["a"])
    before = memory.digest()
    with pytest.raises(InvalidInput):
        memory.write(keys, values)
    with pytest.raises(InvalidInput):
        memory.forget(keys, values)
    assert memory.digest() == before


def test_more_cannot_be_forgotten_than_was_written() -> None:
    with pytest.raises(InvalidInput, match="holds 1"):
        filled(["a"]).forget(*rows(["a", "b"]))
