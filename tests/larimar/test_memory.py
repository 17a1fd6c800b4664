"""The memory's promise: exact sums, least squares, and a state that forgets bit for bit."""

import json

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from safetensors.torch import load, save

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


def test_a_read_is_the_solution_at_its_key_and_does_not_depend_on_earlier_reads() -> None:
    names = [f"n{i}" for i in range(ROWS // 2)]
    (keys, _), memory = rows([*names, "never written"]), filled(names)
    first = memory.read(keys)
    expected = keys.double() * 2.0**-KEY_BITS @ memory.solution()
    assert torch.linalg.norm(first - expected) <= 1e-10 * torch.linalg.norm(expected)
    assert torch.equal(memory.read(keys), first)
    assert torch.equal(filled(names).read(keys), first)


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


def test_at_the_asserted_bound_the_sums_still_fit_and_one_row_more_is_refused() -> None:
    """2^18 rows of the largest key and value, the worst case: 2^62 < 2^63, and nothing wraps."""
    bound, key, value = 2**18, 2**KEY_BITS, 2**4 * 2**VALUE_BITS
    memory = Memory(1, 1)
    memory.write(torch.full((bound, 1), key), torch.full((bound, 1), -value))
    assert memory._covariance.item() == bound * key * key == 2**62
    assert memory._cross.item() == -bound * key * value
    before = memory.digest()
    with pytest.raises(BankFull):
        memory.write(torch.full((1, 1), key), torch.full((1, 1), value))
    assert memory.digest() == before
    memory.forget(torch.full((bound, 1), key), torch.full((bound, 1), -value))
    assert memory.digest() == Memory(1, 1).digest()


def wide_and_narrow() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two keys, a value of 200 columns of which three are used, and one of which all are."""
    narrow = torch.zeros(1, 200, dtype=torch.int64)
    narrow[0, 2] = 5
    return hashed_keys(["a", "b"], ROWS), narrow, torch.ones(1, 200, dtype=torch.int64)


def test_columns_that_only_forgotten_rows_had_leave_no_trace() -> None:
    """Not in the digest, not in the bytes, not in what is solved: BLAS takes other kernels for other widths."""
    keys, narrow, wide = wide_and_narrow()
    memory, never = Memory(ROWS, 200), Memory(ROWS, 200)
    memory.write(keys[:1], narrow)
    never.write(keys[:1], narrow)
    memory.write(keys[1:], wide)
    memory.forget(keys[1:], wide)
    assert memory._cross.shape == never._cross.shape == (ROWS, 3)
    assert memory.digest() == never.digest()
    assert memory.to_bytes() == never.to_bytes()
    assert torch.equal(memory.read(keys), never.read(keys))
    assert torch.equal(memory.solution(), never.solution())
    assert torch.equal(memory.cross, never.cross)


def test_rows_that_cancel_each_other_leave_no_columns_either() -> None:
    """The state decides, not the way to it: a write may take columns away as well."""
    keys, narrow, wide = wide_and_narrow()
    memory = Memory(ROWS, 200)
    memory.write(keys[:1], wide)
    memory.write(keys[:1], narrow - wide)
    assert memory._cross.shape == (ROWS, 3)
    same = Memory(ROWS, 200)
    same.write(keys[[0, 0]], torch.cat([narrow, torch.zeros_like(narrow)]))
    assert memory.digest() == same.digest()
    assert torch.equal(memory.read(keys), same.read(keys))


def test_bytes_with_columns_of_zeros_are_read_without_them() -> None:
    keys, narrow, _ = wide_and_narrow()
    memory = Memory(ROWS, 200)
    memory.write(keys[:1], narrow)
    never = memory.copy()
    memory._widen(150)
    again = Memory.from_bytes(memory.to_bytes())
    assert again._cross.shape == (ROWS, 3)
    assert again.digest() == never.digest()
    assert torch.equal(again.read(keys), never.read(keys))


def test_states_survive_their_bytes_and_go_on() -> None:
    memory = filled(["a", "b", "c"])
    again = Memory.from_bytes(memory.to_bytes())
    assert again.digest() == memory.digest()
    again.forget(*rows(["b"]))
    assert again.digest() == filled(["c", "a"]).digest()
    assert memory.copy().digest() == memory.digest() != again.digest()


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_bytes_that_are_no_memory_are_refused(data: st.DataObject) -> None:
    whole = filled(["a"]).to_bytes()
    with pytest.raises(InvalidInput):
        Memory.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize("shape", [(ROWS * WIDTH,), (ROWS, WIDTH, 1), (ROWS, WIDTH + 1), (ROWS + 1, WIDTH)])
def test_a_stored_memory_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    whole = Memory(ROWS, WIDTH).to_bytes()
    length = int.from_bytes(whole[:8], "little")
    about = json.loads(whole[8 : 8 + length])["__metadata__"]
    cross = torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(InvalidInput, match="do not fit"):
        Memory.from_bytes(save({**load(whole), "cross": cross}, metadata=about))


@pytest.mark.parametrize(
    "sizes", [(0, 1, 1e-4, None), (1, 0, 1e-4, None), (1, 1, 0.0, None), (1, 1, 1e-4, 0)]
)
def test_sizes_that_cannot_work_are_refused(sizes: tuple[int, int, float, int | None]) -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        Memory(sizes[0], sizes[1], ridge=sizes[2], capacity=sizes[3])


def test_alpha_is_plus_or_minus_one() -> None:
    memory = filled(["a"])
    before = memory.digest()
    for alpha in (0, 2, -2):
        with pytest.raises(InvalidInput, match="alpha"):
            memory.update(*rows(["b"]), alpha)
    assert memory.digest() == before


def test_tensors_of_another_device_are_refused_and_change_nothing() -> None:
    memory = filled(["a"])
    before, (keys, values) = memory.digest(), rows(["b"])
    for pair in ((keys.to("meta"), values), (keys, values.to("meta"))):
        with pytest.raises(InvalidInput, match="meta"):
            memory.write(*pair)
    with pytest.raises(InvalidInput, match="meta"):
        memory.read(keys.to("meta"))
    assert memory.digest() == before


@pytest.mark.parametrize("keys", [torch.ones(1, ROWS), torch.ones((0, ROWS), dtype=torch.int64)])
def test_reads_take_keys_alone(keys: torch.Tensor) -> None:
    with pytest.raises(InvalidInput):
        filled(["a"]).read(keys)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_state_on_a_gpu_has_the_digest_of_the_state_on_a_processor() -> None:
    names = [f"n{i}" for i in range(18)]
    keys, values = (part.cuda() for part in rows(names))
    there = Memory(ROWS, WIDTH, ridge=RIDGE, device="cuda")
    there.write(keys, values)
    there.forget(keys[3:7], values[3:7])
    here = filled(names[:3] + names[7:])
    assert there.digest() == here.digest() == there.to("cpu").digest()
    assert torch.allclose(there.read(keys).cpu(), here.read(keys.cpu()), rtol=1e-9, atol=1e-12)
    with pytest.raises(InvalidInput, match="cuda"):
        there.write(*rows(["x"]))
