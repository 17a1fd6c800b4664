"""Prompts are recognised for what they are, and rewordings keep their meaning."""

import pytest

from audit.facts import AuditFact
from audit.forms import as_question, as_statement, form_of, indirect, lowered, reordered, tidy


@pytest.mark.parametrize(
    ("prompt", "form"),
    [
        ("What is the mother tongue of X?", "question"),
        ("in which city was X born", "question"),
        ("Who wrote it", "question"),
        ("The mother tongue of X is", "statement"),
        ("X, who plays the", "statement"),
        ("What is the twin city of Lyon? It is", "statement"),
        ("Tell me the phone number of X", "order"),
        ("Please give me the address of X.", "order"),
        ("May Smith was born in", "statement"),
        ("Was ist die Hauptstadt?", "question"),
        ("The capital of Peru is ____.", "statement"),
    ],
)
def test_forms(prompt: str, form: str) -> None:
    assert form_of(prompt) == form


def of(prompt: str, subject: str = "Anna Berg", answer: str = "Lisbon") -> AuditFact:
    return AuditFact("f", prompt, (answer,), subject)


@pytest.mark.parametrize(
    ("prompt", "answer", "question"),
    [
        ("The mother tongue of Anna Berg is", "x", "What is the mother tongue of Anna Berg?"),
        ("Anna Berg's mother tongue was", "x", "What was Anna Berg's mother tongue?"),
        ("Anna Berg was born in", "Lisbon", "Where was Anna Berg born?"),
        ("Anna Berg was born on", "11 May 1991", "When was Anna Berg born?"),
        ("Anna Berg plays the instrument", "x", "Which instrument does Anna Berg play?"),
        ("Anna Berg was developed by", "x", "By whom was Anna Berg developed?"),
    ],
)
def test_statements_become_questions(prompt: str, answer: str, question: str) -> None:
    assert as_question(of(prompt, answer=answer)) == question


def test_reordering_swaps_the_possessive() -> None:
    assert reordered(of("The mother tongue of Anna Berg is")) == "Anna Berg's mother tongue is"
    assert reordered(of("Anna Berg's mother tongue is")) == "The mother tongue of Anna Berg is"
    assert reordered(of("Anna Berg, the")) is None


def test_questions_become_the_beginning_of_an_answer() -> None:
    assert as_statement(of("What is the full name of Anna Berg?")) == "The full name of Anna Berg is"
    assert as_statement(of("Where was Anna Berg born?")) == "Anna Berg was born in"
    assert as_statement(of("When was Anna Berg born?", answer="11 May 1991")) == "Anna Berg was born on"
    assert as_statement(of("How old is Anna Berg?")) is None


def test_indirect_questions_only_where_word_order_is_sure() -> None:
    assert indirect(of("What is the mother tongue of Anna Berg?")) == "what the mother tongue of Anna Berg is"
    assert indirect(of("Who wrote Swan Lake?")) == "who wrote Swan Lake"
    assert indirect(of("When did Anna Berg die?")) is None
    assert indirect(of("What is the twin city of Lyon? It is")) is None


def test_names_keep_their_capital_and_blanks_go() -> None:
    assert lowered("The capital is") == "the capital is"
    assert lowered("Anna Berg is") is None
    assert tidy("  The capital \n of Peru is ____ … ") == "The capital of Peru is"
