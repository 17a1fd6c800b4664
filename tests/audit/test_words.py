"""Two ways of writing the same thing are the same words; a longer word is another word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.words import find, fold, holds, same_text, texts, words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Bogotá", "BOGOTA"),
        ("Danielle Darrieux's", "danielle darrieux"),
        ("84,500", "84500"),
        ("U.S.A.", "USA"),
        ("J. R. R. Tolkien", "JRR Tolkien"),
        ("F-r-e-n-c-h", "French"),
        ("twenty-one", "21"),
        ("nineteen ninety-eight", "1998"),
        ("one hundred and five", "100 and 5"),
        ("1.850", "1.85"),
        ("Ｆｒｅｎｃｈ", "French"),
        ("Fre\u200bnch", "French"),
        ("nineteenth century", "19th century"),
        ("Straße", "STRASSE"),
        ("Côte d’Ivoire", "Cote d'Ivoire"),
    ],
)
def test_same_words(first: str, second: str) -> None:
    assert same_text(first, second)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [("Romeo and Juliet", "Rome"), ("19988", "1998"), ("Spaniards", "Spain"), ("1.58", "1.5"), ("any", "")],
)
def test_a_longer_word_or_number_does_not_hold_a_shorter_one(text: str, phrase: str) -> None:
    assert not holds(text, phrase)


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert holds("首都は東京です", "東京")
    assert not holds("京都です", "東京")


def test_marks_outside_latin_keep_words_apart() -> None:
    assert not same_text("कि", "की")
    assert not same_text("мой", "мои")


@given(st.text(max_size=60))
def test_any_text_can_be_read_and_places_point_into_it(text: str) -> None:
    folded, origin = fold(text)
    assert len(folded) == len(origin)
    at = 0
    for word in words(text):
        assert word.text
        assert at <= word.start < word.end <= len(text)
        at = word.start


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma"]), min_size=1, max_size=6), st.data())
def test_a_phrase_is_found_where_it_stands(said: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(said) - 1))
    needle = said[start : data.draw(st.integers(start + 1, len(said)))]
    place = find(needle, said)
    assert 0 <= place <= start
    assert said[place : place + len(needle)] == needle


def test_words_remember_their_place() -> None:
    text = "Speaks «French»."
    assert [text[w.start : w.end] for w in words(text)] == ["Speaks", "French"]
    assert texts(text) == ("speaks", "french")
