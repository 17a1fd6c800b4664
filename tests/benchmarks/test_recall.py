"""The parts of the capacity benchmarks that could flatter: which facts are asked, and what counts as recalled."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch

from benchmarks.fictitious import fictions
from benchmarks.noise import plateau
from benchmarks.recall import FullMemory, counterfact, occupied, share, slots_of
from benchmarks.sequential import edits
from larimar import Fact
from larimar.config import preset
from larimar.encoder import freeze_codes
from larimar.serving import Weights
from larimar.slots import SlotReader

CONFIG = preset("tiny")


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Random codes and a tokenizer of one token a letter: what a full memory needs."""
    codes = torch.randn(128, CONFIG.slot_dim, generator=torch.Generator().manual_seed(0))
    frozen = freeze_codes(torch.nn.functional.normalize(codes, dim=1) * CONFIG.slot_dim**0.5)

    def encode(text: str) -> torch.Tensor:
        return frozen[torch.tensor([ord(letter) for letter in text])]

    reader = object.__new__(SlotReader)
    torch.nn.Module.__init__(reader)
    reader.frozen_codes = frozen
    return cast(Weights, SimpleNamespace(config=CONFIG, reader=reader, encode=encode))


def facts(count: int) -> list[Fact]:
    return [Fact(f"f{n}", f"p{n}", f"a{n * 7}") for n in range(count)]


def test_the_joint_read_of_an_overfull_memory_is_what_was_written(weights: Weights) -> None:
    full = FullMemory(weights, facts(CONFIG.rows + 8))
    read = full.joint()
    assert read.exact
    assert torch.equal(slots_of(weights, read.tokens), full.written())
    assert not torch.allclose(full.single(), full.written(), atol=0.5)


def test_a_memory_without_a_fact_is_the_one_that_never_had_it(weights: Weights) -> None:
    written = facts(10)
    full = FullMemory(weights, written)
    before = full.memory.digest()
    rest = full.without(3)
    never = FullMemory(weights, [*written[:3], *written[4:]])
    assert rest.memory.digest() == never.memory.digest()
    assert [fact.id for fact in rest.facts] == [fact.id for fact in never.facts]
    assert torch.equal(rest.keys, never.keys)
    assert full.memory.digest() == before


def test_occupied_slots_are_the_first_ones() -> None:
    assert occupied(torch.tensor([0, 2]), 3).tolist() == [[False] * 3, [True, True, False]]


def test_no_prompt_is_asked_of_two_facts() -> None:
    made = counterfact(2000)
    assert len(made) == 2000
    assert len({rewrite.fact.prompt.casefold() for rewrite in made}) == 2000
    assert all(rewrite.fact.answer != rewrite.true for rewrite in made)


def test_composed_edits_repeat_no_prompt_either() -> None:
    made = edits(12_500)
    assert len({fact.prompt.casefold() for fact in made}) == len({fact.id for fact in made}) == 12_500
    assert sum(fact.id.startswith("composed") for fact in made) > 500


def test_fictitious_facts_are_the_same_each_time_and_do_not_share_a_prompt() -> None:
    made = fictions(500)
    assert made == fictions(500)
    assert len({fact.prompt for fact in made}) == len({fact.question for fact in made}) == 500
    assert not any(fact.answer in fact.prompt for fact in made)


def test_the_plateau_ends_where_recall_first_falls() -> None:
    assert plateau([(0.0, 1.0), (0.1, 0.96), (0.2, 0.5), (0.3, 1.0)]) == 0.1
    assert share([True, True, False]) == 0.6667
