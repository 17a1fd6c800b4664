"""What the public interface is given and cannot use is refused in its own words, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from larimar import Fact, Larimar
from larimar.config import preset
from larimar.errors import InvalidInput, UnknownFact
from larimar.memory import Memory, hashed_keys

FACTS = [Fact("1", "The capital of Ruritania is", "Strelsau"), Fact("2", "Bees make", "honey")]
CALLS: list[Callable[[Larimar, object], object]] = [
    lambda model, given: model.forget(given),
    lambda model, given: model.generate(given),
    lambda model, given: model.in_scope(given),
    lambda model, given: model.routes(given),
    lambda model, given: model.reading(given, "1"),
    lambda model, given: model.score(given, ["a", "b"]),
    lambda model, given: model.score(["a", "b"], given),
    lambda model, given: model.widen("1", given),
    lambda model, given: model.agrees_with_base(given),
    lambda model, given: model.base.generate(given),
    lambda model, given: model.base.next_logits(given),
    lambda model, given: model.base.score(given, ["a", "b"]),
    lambda model, given: model.base.score(["a", "b"], given),
    lambda model, given: Fact("3", "a", "b", aliases=given),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", ["12", None, 7, iter(["1"])])
def test_one_text_is_no_list_of_its_characters(
    tiny: Larimar, call: Callable[[Larimar, object], object], given: object
) -> None:
    tiny.write(FACTS)
    before = tiny.digest()
    with pytest.raises(InvalidInput, match="give a list"):
        call(tiny, given)
    assert tiny.digest() == before


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("given", [7, None, "\ud800"])
def test_a_list_of_anything_else_than_texts_is_refused(
    tiny: Larimar, call: Callable[[Larimar, object], object], given: object
) -> None:
    tiny.write(FACTS)
    before = tiny.digest()
    with pytest.raises(InvalidInput, match="whole characters"):
        call(tiny, ["1", given])
    assert tiny.digest() == before


@pytest.mark.parametrize(
    "field",
    [
        {"samples": 0}, {"samples": -1}, {"max_tokens": -1}, {"min_tokens": -1}, {"top_k": -3},
        {"temperature": float("nan")}, {"temperature": -1.0}, {"temperature": float("inf")},
        {"seed": 2**62}, {"seed": -(2**62)},
    ],
)  # fmt: skip
def test_numbers_that_nothing_could_be_drawn_with_are_named(tiny: Larimar, field: dict[str, float]) -> None:
    for model in (tiny, tiny.base):
        with pytest.raises(InvalidInput, match=next(iter(field))):
            model.generate(["Bees make"], **field)


@pytest.mark.parametrize("seed", [2**43 - 1, 1 - 2**43])
def test_the_largest_seeds_draw(tiny: Larimar, seed: int) -> None:
    assert len(tiny.generate(["Bees make"], seed=seed)[0]) == 1


@pytest.mark.parametrize(("prompts", "targets"), [(["a"], ["x", "y"]), (["a", "b"], ["x"]), ([], ["x"])])
def test_every_prompt_has_one_target(tiny: Larimar, prompts: list[str], targets: list[str]) -> None:
    for model in (tiny, tiny.base):
        with pytest.raises(InvalidInput, match="one target"):
            model.score(prompts, targets)


def test_no_prompts_have_no_logits_completions_or_scores(tiny: Larimar) -> None:
    width = tiny.base.next_logits(["Bees make"]).shape[1]
    assert tiny.base.next_logits([]).shape == (0, width)
    assert tiny.generate([]) == tiny.base.generate([]) == tiny.score([], []) == tiny.base.score([], []) == []


def test_what_an_unknown_fact_answers_is_not_known(tiny: Larimar) -> None:
    with pytest.raises(UnknownFact):
        tiny.readout_answer("zz")


def test_a_checkpoint_may_be_named_by_a_str(tiny_checkpoint: Path) -> None:
    assert Larimar.load(str(tiny_checkpoint), device="cpu").weights.config == preset("tiny")


def test_a_memory_that_forgot_what_was_never_written_says_so() -> None:
    memory = Memory(8, 4)
    rows = hashed_keys(["0 a", "0 b"], 8)
    values = torch.ones(2, 4, dtype=torch.int64)
    memory.write(rows[:1], values[:1])
    memory.forget(rows[1:], values[1:])
    with pytest.raises(InvalidInput, match="never written"):
        memory.read(rows)
    memory.write(rows[1:], values[1:])
    assert memory.read(rows).isfinite().all()
