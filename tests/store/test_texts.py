"""Texts are checked before they are stored, and a refusal never repeats them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import InvalidInput, VaultError
from store.texts import FactText, Limits, validated

LIMITS = Limits(max_fact_chars=20, max_facts_per_request=2)


def test_texts_are_stripped() -> None:
    [text] = validated([FactText("  a b ", " c ", " d", (" e ",))], LIMITS)
    assert text == FactText("a b", "c", "d", ("e",))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (FactText(" ", "secretword"), "prompt"),
        (FactText("secretword" * 3, "x"), "prompt"),
        (FactText("x", "secretword\nsecretword"), "answer"),
        (FactText("x", "y", "secret\x00word"), "subject"),
        (FactText("x", "y", "z", ("secret\u2028word",)), "aliases"),
        (FactText("x", "y", "z", ("secretword", " ")), "aliases"),
        (FactText("x", "y", "z", ("secretword",) * 21), "aliases"),
        (FactText("x", "\ud800secretword"), "answer"),
    ],
)
def test_a_refusal_names_position_and_field_but_not_the_value(text: FactText, field: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        validated([FactText("fine", "fine"), text], LIMITS)
    assert refusal.value.field == field
    assert refusal.value.position == 1
    assert "Fact 2" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("count", [0, 3])
def test_none_or_too_many_facts_are_refused(count: int) -> None:
    with pytest.raises(InvalidInput):
        validated([FactText("x", "y")] * count, LIMITS)


@given(st.text(), st.text(), st.text(), st.lists(st.text()).map(tuple))
def test_the_bytes_of_a_text_read_back_the_same(
    prompt: str, answer: str, subject: str, names: tuple[str, ...]
) -> None:
    text = FactText(prompt, answer, subject, names)
    assert FactText.from_bytes(text.to_bytes()) == text


def test_bytes_that_are_no_text_are_a_vault_error() -> None:
    with pytest.raises(VaultError):
        FactText.from_bytes(b"{}{")
