"""Questions as people put them: orders and polite requests that ask the same."""

import random

import pytest

from larimar.asking import as_order, put


@pytest.mark.parametrize(
    ("question", "inside"),
    [
        ("what is the mother tongue of {}?", "the mother tongue of {}"),
        ("Who is {}'s commander?", "{}'s commander"),
        ("In which city was {} born?", "in which city {} was born"),
        ("who wrote {}?", "who wrote {}"),
    ],
)
def test_a_question_becomes_an_order_that_keeps_its_words(question: str, inside: str) -> None:
    orders = {as_order(question, random.Random(seed)) for seed in range(60)}
    assert len(orders) > 10
    assert all(order is not None and inside in order for order in orders)


@pytest.mark.parametrize("text", ["{} was born in", "where did {} live?", "who is it?"])
def test_what_cannot_be_turned_is_left_alone(text: str) -> None:
    assert as_order(text, random.Random(0)) is None


def test_every_question_can_be_put_politely() -> None:
    for seed in range(60):
        text = put("Where did {} live?", random.Random(seed))
        assert "here did {} live?" in text
        assert len(text) > len("Where did {} live?")
