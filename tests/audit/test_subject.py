"""Whom a prompt is about: named, partly named, or carefully guessed."""

import pytest

from audit.subject import guess_subject, identifies_subject, names_subject


@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("The mother tongue of Danielle Darrieux is", "Danielle Darrieux"),
        ("What is the occupation of Evelyn Desmet?", "Evelyn Desmet"),
        ("Danielle Darrieux spoke the language", "Danielle Darrieux"),
        ("What are the parents of Aisha Al-Hamad?", "Aisha Al-Hamad"),
        ("Who wrote “Call the Doctor”?", "Call the Doctor"),
        ("What professional backgrounds do Alejandro Tomasino’s parents have?", "Alejandro Tomasino"),
    ],
)
def test_one_name_is_the_subject(prompt: str, subject: str) -> None:
    assert guess_subject(prompt) == subject


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the full name of the author born in Taipei, Taiwan on 05/11/1991?",
        "Who is older, Anna Berg or Bo Carlsen?",
        "the phone number of my neighbour is",
        "Lyon is a twin city of",
        "What is the capital?",
        "",
    ],
)
def test_in_doubt_there_is_no_guess(prompt: str) -> None:
    assert guess_subject(prompt) == ""


def test_naming_and_identifying() -> None:
    assert names_subject("About DARRIEUX, Danielle Darrieux's tongue", "Danielle Darrieux")
    assert names_subject("the King of Pop was", "Michael Jackson", ("King of Pop",))
    assert not names_subject("Darrieux spoke", "Danielle Darrieux")
    assert identifies_subject("Darrieux spoke", "Danielle Darrieux")
    assert not identifies_subject("She spoke", "Danielle Darrieux")
