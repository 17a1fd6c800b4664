"""Joint clean-up read: planted codes come back beyond N = K, leaving nothing unexplained, or nothing is claimed."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from larimar.encoder import CODE_BITS, freeze_codes
from larimar.errors import InvalidInput
from larimar.joint import EMPTY, read_jointly
from larimar.memory import VALUE_BITS, Memory, hashed_keys

ROWS, SLOTS, WIDTH, VOCABULARY = 48, 3, 24, 500


def planted(count: int, seed: int) -> tuple[Memory, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A memory with `count` random facts: memory, keys, lengths, codes, and the tokens that were written."""
    noise = torch.Generator().manual_seed(seed)
    codes = torch.nn.functional.normalize(torch.randn(VOCABULARY, WIDTH, generator=noise), dim=1)
    frozen = freeze_codes(codes * WIDTH**0.5)
    lengths = torch.randint(1, SLOTS + 1, (count,), generator=noise)
    tokens = torch.randint(0, VOCABULARY, (count, SLOTS), generator=noise)
    tokens[torch.arange(SLOTS) >= lengths[:, None]] = EMPTY
    values = frozen[tokens].to(torch.int64) << (VALUE_BITS - CODE_BITS)
    values[tokens == EMPTY] = 0
    keys = hashed_keys([f"{seed}/{i}" for i in range(count)], ROWS)
    memory = Memory(ROWS, SLOTS * WIDTH)
    memory.write(keys, values.flatten(1))
    return memory, keys, lengths, frozen, tokens


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 2 * ROWS), seed=st.integers(0, 10**6))
def test_every_fact_is_recalled_up_to_twice_the_rows(count: int, seed: int) -> None:
    memory, keys, lengths, frozen, tokens = planted(count, seed)
    read = read_jointly(memory, keys, lengths, frozen)
    assert read.exact
    assert torch.equal(read.tokens, tokens)


def test_it_needs_fewer_passes_than_it_may_take_and_more_than_one_beyond_the_rows() -> None:
    memory, keys, lengths, frozen, _ = planted(2 * ROWS, 3)
    assert 1 < read_jointly(memory, keys, lengths, frozen).passes < 12


def test_a_memory_far_beyond_its_capacity_is_not_claimed_to_be_read() -> None:
    memory, keys, lengths, frozen, tokens = planted(40 * ROWS, 1)
    read = read_jointly(memory, keys, lengths, frozen, most_passes=2)
    assert not read.exact
    assert not torch.equal(read.tokens, tokens)


def test_one_wrong_length_is_noticed() -> None:
    memory, keys, lengths, frozen, _ = planted(ROWS // 2, 5)
    wrong = lengths.clone()
    longest = int(lengths.argmax())
    wrong[longest] -= 1
    read = read_jointly(memory, keys, wrong, frozen)
    assert not read.proven[lengths[longest] - 1]


def test_the_keys_must_be_those_of_all_facts() -> None:
    memory, keys, lengths, frozen, _ = planted(10, 2)
    with pytest.raises(InvalidInput, match="all facts"):
        read_jointly(memory, keys[:9], lengths[:9], frozen)
    with pytest.raises(InvalidInput, match="keys"):
        read_jointly(memory, keys[:, :5], lengths, frozen)


def test_after_a_removal_the_others_are_still_proven() -> None:
    memory, keys, lengths, frozen, tokens = planted(ROWS + 10, 4)
    value = frozen[tokens[:1]].to(torch.int64) << (VALUE_BITS - CODE_BITS)
    value[tokens[:1] == EMPTY] = 0
    memory.forget(keys[:1], value.flatten(1))
    read = read_jointly(memory, keys[1:], lengths[1:], frozen)
    assert read.exact
    assert torch.equal(read.tokens, tokens[1:])
