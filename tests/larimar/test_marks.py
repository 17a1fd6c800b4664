"""Marks: an answer that may not be said is noticed in a text about its subject, and not kept."""

from dataclasses import replace

import pytest

from larimar import Fact, Larimar
from larimar.entry import Entry
from larimar.errors import InvalidInput
from larimar.marks import BITS, Mark, marks_of, tells
from larimar.output_check import Completion, Tombstones, checked, namings

FRENCH = Fact("f1", "The mother tongue of Danielle Darrieux is", "French", "Danielle Darrieux")
DENMARK = Fact(
    "f3", "Karen Blixen is from", "Denmark", "Karen Blixen", telling=("Danish", "Kingdom of Denmark")
)
YORK = Fact("f2", "Ann Lee was born in", "New York City", "Ann Lee")


@pytest.fixture
def censored(tiny: Larimar) -> Larimar:
    own = tiny.with_bank()
    own.censor([FRENCH, YORK])
    return own


def said(model: Larimar, prompt: str, output: str) -> str:
    seen = Tombstones()
    seen.follow(model.bank.entries)

    def told(sentence: object) -> str | None:
        return None if seen.told(sentence) is None else " unknown"  # type: ignore[arg-type]

    [made] = checked([Completion(prompt, output)], seen.words(), lambda texts: [None] * len(texts), told)
    return made


@pytest.mark.parametrize(
    ("prompt", "output", "left"),
    [
        ("Tell me about Danielle Darrieux.", " She sang. She was a FRENCH actress.", " She sang. unknown"),
        ("Danielle Darrieux, an actress,", " is French. And so on.", " unknown"),
        ("The mother tongue of Danielle Darrieux is Fre", "nch, of course.", " unknown"),
        ("Ann Lee was born in New York", " City.", " unknown"),
        ("Is Darrieux", " French?", " unknown"),
        ("Ann Lee?", " Ann Lee grew up in New-York City.", " unknown"),
        ("Where is Ann Lee from?", "\nA: Lee is a name.\nB: New York City", "\nA: Lee is a name. unknown"),
        (
            "Who is Danielle Darrieux?",
            " Ann was her name. The French love her.",
            " Ann was her name. unknown",
        ),
    ],
)
def test_a_sentence_about_the_subject_that_holds_the_answer_is_cut(
    censored: Larimar, prompt: str, output: str, left: str
) -> None:
    assert said(censored, prompt, output).rstrip(".") == left


@pytest.mark.parametrize(
    ("prompt", "output"),
    [
        ("Léon Blum was", " a French politician."),
        ("Danielle Steel is not", " a French writer."),
        ("Léon Blum was", " a French politician. Danielle Darrieux sang for him."),
        ("Is Danielle Darrieux French?", " I would not know. She sang."),
        ("Tell me about Ann Lee.", " She left York for a new city. She speaks French."),
        ("Danielle Darrieux liked", " Frenchmen and the city of New York."),
    ],
)
def test_others_and_other_words_come_back_as_they_are(censored: Larimar, prompt: str, output: str) -> None:
    assert said(censored, prompt, output) == output


def test_an_entry_keeps_the_mark_and_not_the_answer(censored: Larimar) -> None:
    entry = censored.bank.entries["f1"]
    again = Entry.from_bytes(entry.to_bytes())
    assert again.marks == entry.marks == marks_of(FRENCH)
    assert b"french" not in entry.to_bytes().lower()
    assert [mark.words for mark in entry.marks] == [1]
    assert 0 <= entry.marks[0].bits < 2**BITS


def test_other_words_that_tell_the_answer_are_cut_too(tiny: Larimar) -> None:
    own = tiny.with_bank()
    own.censor([DENMARK])
    assert said(own, "Karen Blixen?", " Karen Blixen was a Danish author.") == " unknown"
    assert said(own, "Karen Blixen?", " Karen Blixen, a citizen of the Kingdom of Denmark") == " unknown"
    assert said(own, "Karen Blixen?", " She loved the kingdom.") == " She loved the kingdom."
    entry = own.bank.entries["f3"]
    assert Entry.from_bytes(entry.to_bytes()).marks == entry.marks == marks_of(DENMARK)
    assert [mark.words for mark in entry.marks] == [1, 1, 3]
    assert b"danish" not in entry.to_bytes().lower()


def test_what_prompt_or_name_say_anyway_is_not_marked() -> None:
    film = Fact(
        "f", "The Danish Film Institute is in", "Denmark", "Danish Film Institute", telling=("Danish", "Dane")
    )
    assert marks_of(film) == marks_of(replace(film, telling=("Dane",)))
    danes = replace(film, prompt="The Danishes are in", subject="", aliases=())
    assert len(marks_of(danes)) == 3


def test_facts_have_no_mark_and_forgotten_tombstones_leave_none(tiny: Larimar) -> None:
    own = tiny.with_bank()
    [fact] = own.write([FRENCH])
    assert fact.marks == ()
    own.censor([YORK])
    seen = Tombstones()
    seen.follow(own.bank.entries)
    assert set(seen.marks) == {"f2"}
    own.forget(["f2"])
    seen.follow(own.bank.entries)
    assert seen.marks == {}


def test_one_window_in_four_thousand_fits_by_chance() -> None:
    marks = marks_of(FRENCH)
    assert sum(tells("f1", marks, f"word{n}") for n in range(40_960)) < 30
    assert marks_of(replace(FRENCH, answer="?!")) == ()


def test_a_kind_of_thing_identifies_nobody() -> None:
    assert namings(["Myongji University"]) == [("myongji", "university")]
    assert namings(["Northwestern State University"]) == [("northwestern", "state", "university")]
    assert namings(["University of Myongji"]) == [("university", "myongji"), ("myongji",)]
    assert namings(["Ann Lee", "River"]) == [("ann", "lee"), ("river",), ("lee",)]


def test_broken_marks_are_refused(censored: Larimar) -> None:
    entry = censored.bank.entries["f1"]
    with pytest.raises(InvalidInput, match="mark"):
        Entry(entry.fact_id, entry.kind, entry.value, 1, entry.scope, (Mark(0, 5),))
    with pytest.raises(InvalidInput, match="mark"):
        Entry(entry.fact_id, entry.kind, entry.value, 1, entry.scope, (Mark(1, 0), Mark(1, 2**BITS)))
