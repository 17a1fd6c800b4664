"""The output check: what a completion tells is cut where it is censored, and nothing else is touched."""

from collections.abc import Sequence

import pytest

from larimar import Fact, Larimar
from larimar.output_check import Completion, Tombstones, checked, name_words, sentences_to_check

WORDS = name_words(["Danielle Darrieux"])


def speaks(texts: Sequence[str]) -> list[str | None]:
    """A detector that censors the mother tongue."""
    return [" unknown." if "French" in text else None for text in texts]


def test_a_leak_in_the_third_sentence_is_cut_there() -> None:
    said = " She was an actress. Danielle Darrieux was born in Bordeaux. Her language was French. She sang."
    [output] = checked([Completion("Tell me about Danielle Darrieux.", said)], WORDS, speaks)
    assert output == " She was an actress. Danielle Darrieux was born in Bordeaux. unknown."


def test_a_leak_in_the_sentence_that_the_prompt_began_leaves_nothing_of_it() -> None:
    [output] = checked(
        [Completion("Danielle Darrieux, an actress,", " spoke French. And so on.")], WORDS, speaks
    )
    assert output == " unknown."


def test_what_names_nobody_who_is_censored_is_never_looked_at() -> None:
    def refuses(texts: Sequence[str]) -> list[str | None]:
        raise AssertionError(texts)

    said = [Completion("Léon Blum was", " French.  He spoke French \n"), Completion("Bees", " make honey.")]
    assert checked(said, WORDS, refuses) == [c.output for c in said]


def test_a_sentence_that_names_nobody_is_shown_after_the_one_that_does() -> None:
    [first, second] = sentences_to_check(
        Completion("Danielle Darrieux was", " born. She spoke French."), WORDS
    )
    assert first.text == "Danielle Darrieux was born."
    assert second.text == "Danielle Darrieux was born. She spoke French."
    assert second.keep == len(" born. ")


def test_an_answer_that_the_memory_gave_is_not_checked_but_what_follows_is() -> None:
    completion = Completion(
        "Danielle Darrieux spoke", " unknown. Danielle Darrieux spoke French.", answers_prompt=True
    )
    judged = [s.text for s in sentences_to_check(completion, WORDS) if s.judged]
    assert judged == ["Danielle Darrieux spoke French."]


def test_facts_without_a_name_take_every_sentence() -> None:
    texts = [s.text for s in sentences_to_check(Completion("Hm.", " The code is 7. Bees hum."), None)]
    assert texts == ["The code is 7.", "The code is 7. Bees hum."] or texts == ["The code is 7.", "Bees hum."]


@pytest.mark.parametrize("name", ["", "\u200b", "!!!"])
def test_a_tombstone_without_a_word_in_its_name_takes_every_sentence(name: str, tiny: Larimar) -> None:
    tombstones = Tombstones()
    tiny.censor([Fact("f", "The launch code is", "7", name), Fact("g", "Ada was born in", "Rome", "Ada")])
    tombstones.follow(tiny.bank.entries)
    assert tombstones.words() is None


def test_the_detector_is_asked_once_and_each_text_once() -> None:
    calls: list[Sequence[str]] = []

    def counts(texts: Sequence[str]) -> list[str | None]:
        calls.append(texts)
        return [None] * len(texts)

    checked([Completion("Danielle Darrieux", " sang.")] * 3, WORDS, counts)
    assert [len(c) for c in calls] == [1]


def test_short_words_do_not_recognise_anybody() -> None:
    assert name_words(["The Man of Iron"]) == {"iron"}
    assert name_words(["U2"]) == {"u2"}
    assert name_words(["The Tonight Show with Conan O'Brien"]) == {"tonight", "show", "conan", "brien"}
    assert name_words(["From"]) == {"from"}
