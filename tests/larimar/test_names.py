"""Names are found however they are spelled, and other people's are not taken for them."""

import random

import pytest

from larimar.names import (
    NEAR,
    folded,
    initials_in,
    initials_of,
    locate,
    mask_names,
    named,
    normalise,
    words_of,
)
from larimar.spelling import SPELLINGS

NAME = ("Danielle Darrieux",)


@pytest.mark.parametrize("spelling", [s for s in SPELLINGS if s not in ("initials", "surname only")])
def test_any_spelling_of_the_whole_name_is_found(spelling: str) -> None:
    for seed in range(20):
        written = SPELLINGS[spelling](NAME[0], random.Random(seed))
        found = locate(normalise(f"The mother tongue of {written} is"), NAME)
        assert (found.text, found.share) == ("The mother tongue of X is", 1.0), written


@pytest.mark.parametrize(
    ("text", "masked", "share"),
    [
        ("D. Darrieux spoke", "X spoke", 0.75),
        ("Mme Darrieux's tongue", "Mme X's tongue", 0.5),
        ("Danielle Steel wrote", "X Steel wrote", 0.5),
        ("Léon Blum spoke", "Léon Blum spoke", 0.0),
        ("Danny and the daring eel", "Danny and the daring eel", 0.0),
    ],
)
def test_parts_of_a_name_are_masked_and_counted(text: str, masked: str, share: float) -> None:
    found = locate(text, NAME)
    assert (found.text, found.share) == (masked, share)


@pytest.mark.parametrize("written", ["D. D.", "D.D.", "D D", "DD"])
def test_all_initials_stand_for_the_name_and_some_do_not(written: str) -> None:
    found = locate(f"The tongue of {written} is", NAME)
    assert (found.text, found.share) == ("The tongue of X is", 1.0)
    assert found.near < NEAR
    for others in ("D. B.", "D. D. D.", "D.", "d. d.", "DDD"):
        assert locate(f"The tongue of {others} is", NAME).share == 0.0, others


@pytest.mark.parametrize(
    ("text", "initials"),
    [
        ("Did T. J. S. or JFK speak?", ["tjs", "jfk"]),
        ("L. d. V. painted", ["ldv"]),
        ("John's É. Z. sang", ["ez"]),
        ("Plan A. He left at 5 P.M., not at 6 p.m.", []),
        ("J. R. R. Tolkien heard the BBC News", []),
        ("WHO WAS P. M., AND WHO IS HE?", ["pm"]),
        ("I am a UK citizen", ["uk"]),
    ],
)
def test_initials_are_capitals_that_no_name_goes_on_after(text: str, initials: list[str]) -> None:
    assert [run.text for run in initials_in(text)] == initials


def test_the_search_for_initials_looks_eight_letters_ahead() -> None:
    assert [run.text for run in initials_in("A " * 20)] == [
        "a" * 8
    ]  # a prompt of such letters costs no seconds


def test_initials_leave_out_no_word_but_small_ones() -> None:
    assert initials_of("Leonardo de la Vega") == {"ldlv", "lv"}
    assert initials_of("Jean-Luc Picard") == {"jp", "jlp"}
    assert initials_of("Madonna") == initials_of("...") == frozenset()


def test_the_better_of_two_names_counts() -> None:
    assert locate("the Iron Lady spoke", ["Margaret Thatcher", "Iron Lady"]).text == "the X spoke"


def test_no_name_is_no_trace() -> None:
    assert locate("anything", ()).share == 0.0


def test_look_alikes_become_latin_and_other_scripts_stay() -> None:
    assert normalise("Dаnіelle Dаrrіeuх") == "Danielle Darrieux"
    assert normalise("Москва") == "Москва"
    assert normalise("Dani\u200belle\u00ad") == "Danielle"
    assert normalise("Ｄａｎ") == "Dan"


@pytest.mark.parametrize(
    ("name", "written", "masked"),
    [
        ("Odbert Island", "Robert Island", "Robert X"),
        ("Odbert Island", "Obdert Island", "X"),
        ("Austria", "Australia", "Australia"),
        ("Austria", "Au stria", "X"),
        ("Sarah Connor", "Sara Connor", "X"),
        ("Sarah Connor", "Tara Connor", "Tara X"),
    ],
)
def test_a_real_word_is_a_slip_only_with_the_same_first_letter_and_a_surname(
    name: str, written: str, masked: str
) -> None:
    real = {"robert", "island", "australia", "sara", "tara", "stria"}
    found = locate(f"{written} is", (name,), words_of(f"{written} is", real))
    assert found.text == f"{masked} is"
    assert found.near < NEAR or masked == "X"


def test_names_are_masked_longest_first_whatever_their_case() -> None:
    assert mask_names("ada lovelace and Ada", ["Ada", "Ada Lovelace"]) == "X and X"
    assert mask_names("Adamant", ["Ada"]) == "Adamant"
    assert mask_names("Mac OS 8!", ["Mac OS 8!"]) == "X"


def test_a_masked_text_gets_its_name_back() -> None:
    assert named(mask_names(r"Is \1 Ada's? Ada", ["Ada"]), [r"\1", "B"]) == r"Is \1 \1's? \1"
    assert named("Malcolm X", []) == "Malcolm X"


def test_folding_removes_case_and_accents() -> None:
    assert folded("Léon ÉCLAIR") == "leon eclair"
