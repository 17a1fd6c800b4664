"""Neighbour prompts are close to the fact but have nothing of it."""

import pytest
from pydantic import ValidationError

from audit.facts import AuditFact
from audit.neighbours import kind_of, neighbour_prompts, same_subject_prompts
from audit.results import NeighbourResult
from tests.audit.fakes import facts

FACT = AuditFact("f", "The mother tongue of Danielle Darrieux is", ("French",), "Danielle Darrieux")


def test_most_neighbours_ask_the_same_about_others() -> None:
    prompts = neighbour_prompts(FACT, 12, 0)
    assert len(prompts) == len(set(prompts)) == 12
    assert sum(prompt.startswith("The mother tongue of") for prompt in prompts) == 9
    assert prompts == neighbour_prompts(FACT, 12, 0)
    assert prompts != neighbour_prompts(FACT, 12, 1)


def test_no_neighbour_names_the_subject_or_holds_the_answer() -> None:
    for fact in [*facts(20), AuditFact("c", "Marie Curie was born in", ("Warsaw",), "Marie Curie")]:
        for prompt in neighbour_prompts(fact, 20, 1):
            assert not fact.identifies_subject(prompt)
            assert not fact.holds_answer(prompt)


def test_without_a_known_subject_neighbours_are_general() -> None:
    fact = AuditFact("f", "the phone number of my neighbour is", ("555 1234",))
    assert len(neighbour_prompts(fact, 8, 0)) == 8
    assert same_subject_prompts(fact, 8, 0) == []


def test_other_questions_about_the_same_subject_are_about_something_else() -> None:
    prompts = same_subject_prompts(FACT, 5, 0)
    assert len(prompts) == 5
    assert all("Danielle Darrieux" in prompt and "tongue" not in prompt for prompt in prompts)


@pytest.mark.parametrize(
    ("prompt", "never"),
    [
        ("Ann Berg passed away in", "Ann Berg died in the town of"),
        ("Ann Berg holds a citizenship from", "Ann Berg is a citizen of"),
        ("Ann Berg originates from", "Ann Berg was born in the town of"),
        ("Ann Berg is a professional", "The profession of Ann Berg is"),
        ("Ann Berg, playing the", "Ann Berg plays the instrument"),
        ("Ann Berg, a native", "Ann Berg is a citizen of"),
        ("The expertise of Ann Berg is", "The profession of Ann Berg is"),
        ("The Berg Six was made by the company", "The Berg Six was created by"),
        ("The Berg Six, from", "The Berg Six was created by"),
    ],
)
def test_the_fact_itself_in_other_words_is_no_other_question(prompt: str, never: str) -> None:
    subject = "The Berg Six" if "Six" in prompt else "Ann Berg"
    fact = AuditFact("f", prompt, ("x y",), subject)
    asked = same_subject_prompts(fact, 20, 0)
    assert len(asked) >= 5
    assert never not in asked


@pytest.mark.parametrize("prompt", ["Ann Berg, in", "Ann Berg, the", "Ann Berg is"])
def test_a_prompt_that_does_not_say_what_it_asks_has_no_other_questions(prompt: str) -> None:
    assert same_subject_prompts(AuditFact("f", prompt, ("x y",), "Ann Berg"), 20, 0) == []


def test_what_asks_for_another_fact_that_is_removed_is_no_other_question() -> None:
    one = AuditFact("f", "Ann Berg speaks", ("Basque",), "Ann Berg")
    others = [
        AuditFact("g", "Ann Berg works as a", ("baker",), "Ann Berg"),
        AuditFact("h", "Mr Berg's nationality is", ("Peru",), "Mr Berg", ("Berg",)),
        AuditFact("i", "Tom Hill died in", ("Rome",), "Tom Hill"),
    ]
    alone, among = (set(same_subject_prompts(one, 20, 0, removed)) for removed in ((), (one, *others)))
    assert alone - among == {"The profession of Ann Berg is", "Ann Berg is a citizen of"}
    assert among < alone


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("What is the twin city of Lyon? It is", "place"),
        ("Ferrari F40, developed by", "thing"),
        ("X plays", "person"),
    ],
)
def test_kinds(prompt: str, kind: str) -> None:
    assert kind_of(AuditFact("f", prompt, ("x y",))) == kind


@pytest.mark.parametrize(
    ("prompt", "subject", "kind"),
    [
        ("Rutgers Glacier is in", "Rutgers Glacier", "place"),
        ("San Marino Football Federation is a part of the", "San Marino Football Federation", "thing"),
        ("Niger, in", "Niger", "place"),
        ("Alonzo Church lives in", "Alonzo Church", "person"),
        ("Cuban espresso was created in", "Cuban espresso", "thing"),
        ("Rio Natsuki is from", "Rio Natsuki", "person"),
    ],
)
def test_names_tell_what_they_name(prompt: str, subject: str, kind: str) -> None:
    assert kind_of(AuditFact("f", prompt, ("x y",), subject)) == kind


def test_counts_add_up_and_impossible_ones_are_refused() -> None:
    one = NeighbourResult(prompts=8, silenced=1, agreeing=7, same_subject=2)
    assert NeighbourResult.sum([one, one]) == NeighbourResult(
        prompts=16, silenced=2, agreeing=14, same_subject=4
    )
    with pytest.raises(ValidationError):
        NeighbourResult(prompts=3, silenced=4, agreeing=0)
