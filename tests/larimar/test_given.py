"""What the public interface is given and cannot use is refused in its own words, and changes nothing."""

from collections.abc import Callable

import pytest

from larimar import Fact, Larimar
from larimar.errors import InvalidInput

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
