"""Facts that cannot be audited honestly are refused, with the reason."""

import pytest

from audit.facts import REFUSALS, AuditFact, refusal


def fact(
    prompt: str = "The mother tongue of Danielle Darrieux is", *answers: str, subject: str = ""
) -> AuditFact:
    return AuditFact("f1", prompt, answers, subject)


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ((), "no-answer"),
        (("",), "no-answer"),
        (("«»",), "no-answer"),
        (("x",), "answer-too-short"),
        (("7",), "answer-too-short"),
        (("seven",), "answer-too-short"),
        (("the",), "answer-is-stop-word"),
        (("yes",), "answer-is-stop-word"),
        (("French", "a"), "answer-is-stop-word"),
        (("unknown",), "answer-is-stop-word"),
        ((" ".join("abcdefghijklm") + " word" * 12,), "answer-too-long"),
    ],
)
def test_answers_that_prove_nothing_are_refused(answers: tuple[str, ...], code: str) -> None:
    assert refusal(fact("The mother tongue of X is", *answers), 10) == code
    assert code in REFUSALS


def test_a_prompt_with_its_own_answer_is_refused() -> None:
    assert refusal(fact("The French actress speaks", "french"), 10) == "prompt-holds-answer"
    assert refusal(fact("", "french"), 10) == "no-prompt"


@pytest.mark.parametrize("answer", ["French", "12", "O", "marine biologist", "11 May 1991", "東京"])
def test_ordinary_answers_are_accepted(answer: str) -> None:
    assert refusal(fact("The mother tongue of X is", answer), 10) == (
        "answer-too-short" if answer == "O" else ""
    )


def test_a_missing_subject_is_guessed_but_never_as_the_answer() -> None:
    assert (
        fact("The mother tongue of Danielle Darrieux is", "French").with_subject().subject
        == "Danielle Darrieux"
    )
    assert fact("The book is by Anna Berg", "Anna Berg").with_subject().subject == ""
    assert (
        fact("The mother tongue of Danielle Darrieux is", "French", subject="D. D.").with_subject().subject
        == "D. D."
    )


def test_further_answers_and_derived_words_tell_the_first_one() -> None:
    assert AuditFact("f", "Karen Blixen is from", ("Denmark", "Lapland")).telling[:2] == ("Lapland", "Danish")
    assert fact("The mother tongue of Karen Blixen is", "Danish").telling == ()
