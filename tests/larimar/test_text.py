"""Texts as the model sees them."""

import pytest

from larimar import Fact, Larimar
from larimar.errors import InvalidInput
from larimar.text import open_ended, spaced


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("Tell me where X was born.", "Tell me where X was born:"),
        ("Where was X born? Thanks! ", "Where was X born? Thanks:"),
        ("Where was X born?", "Where was X born?"),
        ("X was born in ", "X was born in"),
        ("Name X...", "Name X:"),
    ],
)
def test_a_finished_sentence_is_left_open_for_an_answer(prompt: str, asked: str) -> None:
    assert open_ended(prompt) == asked


def test_a_name_that_nobody_can_see_is_no_name() -> None:
    fact = Fact(
        "f", "The code is", "7", subject="\u00ad", aliases=("", " ", "\u200b", "\u200d \ufeff", "Ada")
    )
    assert fact.names == ("Ada",)


@pytest.mark.parametrize("field", ["id", "prompt", "answer", "subject", "aliases", "telling"])
@pytest.mark.parametrize("given", [7, None, "S\ud800"])
def test_what_is_no_text_is_named_and_refused(field: str, given: object) -> None:
    fields = {"id": "f", "prompt": "The capital of Ruritania is", "answer": "Strelsau"}
    with pytest.raises(InvalidInput, match=field):
        Fact(**fields | {field: (given,) if field in ("aliases", "telling") else given})


def test_an_order_reads_the_memory_like_the_open_prompt_and_the_base_decoder_sees_it_as_it_is(
    tiny: Larimar,
) -> None:
    own = tiny.with_bank()
    own.write([Fact("f", "X was born in", "Rome")])
    order, opened = own.reading(["Tell me where X was born.", "Tell me where X was born:"], "f")
    assert order.query.tokens == opened.query.tokens
    [outside] = own.routes(["Tell me something else."])
    assert outside.query.tokens == own.base._decoder.query("Tell me something else.").tokens
    assert spaced(" a ") == " a"
