"""Rephrasings name the subject, hide the answer, are new, and never come from both sets."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.attacks import RephraseAttack, make_probes
from audit.facts import AuditFact
from audit.frames import PURPOSES, frames, phrasings
from audit.model_rephrase import (
    ModelRephraser,
    TrainedRephraser,
    asks_the_same,
    faithful,
    few_shot_prompt,
    first_line,
    hidden,
)
from audit.rephrase import (
    ListRephraser,
    MixedRephraser,
    Phrasing,
    RememberedRephraser,
    TemplateRephraser,
    acceptable,
)
from audit.words import holds, texts
from tests.audit.fakes import facts

PROMPTS = (
    "The mother tongue of {} is",
    "{}'s mother tongue is",
    "{} was born in",
    "What is the occupation of {}?",
    "Who wrote {}?",
    "What is the twin city of {}? It is",
    "{}, the",
    "In {}, an official language is",
    "Tell me the phone number of {}",
    "how tall is {}",
    "{} ist geboren in",
    "{}",
    "What is the full name of the author born in {}, Taiwan on 05/11/1991?",
)
NAMES = st.sampled_from(
    ["Danielle Darrieux", "Lyon", "X", "O'Neill & Sons", "Sinéad {0}", "東京", "James", "Mr. %s"]
)
FACTS = st.builds(
    lambda prompt, name, answer, known: AuditFact(
        "f", prompt.replace("{}", name), (answer,), name if known else ""
    ),
    st.sampled_from(PROMPTS),
    NAMES,
    st.sampled_from(["French", "11 May 1991", "marine biologist"]),
    st.booleans(),
)


def test_no_frame_is_in_both_sets() -> None:
    certify, repair = ({texts(f) for lines in frames(p).values() for f in lines} for p in PURPOSES)
    assert not certify & repair
    assert len(certify) >= 50
    assert len(repair) >= 40


@given(FACTS)
def test_no_produced_text_is_in_both_sets(fact: AuditFact) -> None:
    fact = fact.with_subject()
    certify, repair = ({texts(t) for lines in phrasings(fact, p).values() for t in lines} for p in PURPOSES)
    assert not certify & repair


@given(FACTS, st.integers(0, 5))
def test_every_phrasing_is_acceptable_distinct_and_repeatable(fact: AuditFact, seed: int) -> None:
    for purpose in PURPOSES:
        made = TemplateRephraser(purpose).rephrase(fact, 8, seed)
        assert made == TemplateRephraser(purpose).rephrase(fact, 8, seed)
        assert len({texts(p.text) for p in made}) == len(made) >= 4
        for phrasing in made:
            assert not fact.holds_answer(phrasing.text)
            assert texts(phrasing.text) != texts(fact.prompt)
            if fact.names_subject(fact.prompt):
                assert fact.names_subject(phrasing.text)


def test_another_seed_draws_other_phrasings() -> None:
    fact = facts(1)[0]
    draws = {tuple(TemplateRephraser().rephrase(fact, 4, seed)) for seed in range(6)}
    assert len(draws) == 6


def test_four_phrasings_are_of_four_kinds() -> None:
    fact = facts(1)[0]
    families = phrasings(fact, "certify")
    kinds = [
        next(name for name, lines in families.items() if p.text in lines)
        for p in TemplateRephraser().rephrase(fact, 4, 3)
    ]
    assert len(set(kinds)) == 4


def test_a_given_subject_that_the_prompt_does_not_name_is_not_demanded() -> None:
    fact = AuditFact(
        "f", "What is the full name of the author born in Taipei?", ("Hsiao Yun-Hwa",), "Hsiao Yun-Hwa"
    )
    made = TemplateRephraser().rephrase(fact, 4, 0)
    assert len(made) == 4
    assert not any(holds(p.text, "Hsiao Yun-Hwa") for p in made)


class Scripted:
    """A model that says what the test wrote down."""

    name = "scripted"

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines, self.asked = lines, ""

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        self.asked = prompts[0]
        return [[self.lines[i % len(self.lines)] for i in range(samples)]]


FACT = AuditFact("f", "The mother tongue of Danielle Darrieux is", ("French",), "Danielle Darrieux")


def near(pairs: Sequence[tuple[str, str]]) -> list[float]:
    return [0.5 if "far" in second else 0.9 for _, second in pairs]


@pytest.mark.parametrize(
    "line",
    [
        " The language of her mother is",
        " Danielle Darrieux's mother tongue is French",
        " Danielle Darrieux, far away, says",
        " The mother tongue of Danielle Darrieux is",
        " Danielle Darrieux spoke English as her mother tongue and",
        " Danielle Darrieux's mother tongue is good.",
        " What?",
        "",
        " Danielle Darrieux in 1917 spoke",
        " Danielle Darrieux spoke of her mother with an accent",
        " Danielle Darrieux is the daughter of",
    ],
)
def test_what_a_weak_model_gets_wrong_is_dropped(line: str) -> None:
    assert ModelRephraser(Scripted([line]), near).rephrase(FACT, 4, 0) == []


def test_good_lines_of_a_model_are_kept_once() -> None:
    model = Scripted(
        [" Danielle Darrieux's mother tongue is\nA: more", " danielle darrieux's mother tongue is"]
    )
    assert ModelRephraser(model, near).rephrase(FACT, 4, 0) == [
        Phrasing("Danielle Darrieux's mother tongue is", "model")
    ]
    assert model.asked.endswith(f"A: {FACT.prompt}\nB:")


def test_the_few_shot_prompt_holds_no_answer() -> None:
    assert not FACT.holds_answer(few_shot_prompt(FACT))


@pytest.mark.parametrize(
    ("completion", "line"),
    [(' 1. Rewrite: "Hello there"\nmore', "Hello there"), ("\n\n- Yes", "Yes"), ("", ""), ("B: x", "B: x")],
)
def test_first_line(completion: str, line: str) -> None:
    assert first_line(completion) == line


def test_a_question_must_stay_a_question() -> None:
    question = AuditFact("f", "What does Anna Berg play?", ("tabla",), "Anna Berg")
    assert faithful(question, "Which instrument does Anna Berg play?")
    assert not faithful(question, "Which car is Anna Berg?")
    assert not faithful(question, "Anna Berg plays the")


def test_mixed_phrasings_are_topped_up_and_say_their_source() -> None:
    mixed = MixedRephraser(
        ModelRephraser(Scripted([" Danielle Darrieux's mother tongue is"]), near), TemplateRephraser()
    )
    made = mixed.rephrase(FACT, 4, 0)
    assert [p.source for p in made] == ["model", *["certify templates"] * 3]
    assert all(acceptable(FACT, p.text) for p in made)


QUESTION = AuditFact("q", "What does Anna Berg play?", ("tabla",), "Anna Berg", ("A. Berg",))


@pytest.mark.parametrize(
    "line", ["Which language did Danielle Darrieux speak at home?", "Danielle Darrieux grew up speaking the language",
             "Danielle Darrieux's native language is", "The native tongue of Danielle Darrieux was"],
)  # fmt: skip
def test_the_trained_rephraser_may_change_words_and_form(line: str) -> None:
    model = Scripted([line])
    assert TrainedRephraser(model, near).rephrase(FACT, 4, 0) == [Phrasing(line, "rephraser")]
    assert model.asked == FACT.prompt


@pytest.mark.parametrize(
    "line", ["Danielle Darrieux's mother tongue is French", "Which language did she speak first?",
             "Danielle Darrieux grew up in Bordeaux with the language", "Danielle Darrieux is an actress",
             "Danielle Darrieux spoke.", "Danielle Darrieux, far away, says",
             "The mother tongue of Danielle Darrieux is",
             "What, as far as any of us who care at all can say or hear it, is the tongue of Danielle Darrieux?"],
)  # fmt: skip
def test_what_the_trained_rephraser_gets_wrong_is_dropped(line: str) -> None:
    assert TrainedRephraser(Scripted([line]), near).rephrase(FACT, 4, 0) == []


def test_a_question_may_become_an_open_statement() -> None:
    assert asks_the_same(QUESTION, "Anna Berg plays the instrument")
    assert not asks_the_same(QUESTION, "Anna Berg plays the piano")


def test_meaning_is_compared_with_names_hidden() -> None:
    assert hidden(QUESTION, "Does anna berg, or A. Berg, play?") == "Does X, or X, play?"
    seen: list[tuple[str, str]] = []

    def similarity(pairs: Sequence[tuple[str, str]]) -> list[float]:
        seen.extend(pairs)
        return [1.0] * len(pairs)

    TrainedRephraser(Scripted(["Which instrument does Anna Berg play?"]), similarity).rephrase(QUESTION, 1, 0)
    assert seen == [("What does X play?", "Which instrument does X play?")]


def test_a_model_is_not_asked_for_more_than_it_can_have() -> None:
    counted: list[int] = []

    class Counting(Scripted):
        def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
            counted.append(samples)
            return super().sample(prompts, samples=samples)

    ModelRephraser(Counting(["no"]), near).rephrase(FACT, 1000, 0)
    assert counted == [64]


class AnyOf:
    """Says of whomever it is asked what a fact of this file would be asked in other words; counts its calls."""

    name = "any of"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        self.calls.append(len(prompts))
        names = [prompt.removeprefix("The mother tongue of ").removesuffix(" is") for prompt in prompts]
        kinds = ("tongue", "language", "idiom", "dialect")
        return [[f"Which {kinds[n % 4]} did {name} speak?" for n in range(samples)] for name in names]


def test_a_model_is_asked_for_the_facts_of_an_audit_in_one_call() -> None:
    some = [
        AuditFact(f"f{n}", f"The mother tongue of Ann Berg{n} is", ("French",), f"Ann Berg{n}")
        for n in range(5)
    ]
    model = AnyOf()
    source = MixedRephraser(RememberedRephraser(TrainedRephraser(model, near)), TemplateRephraser())
    attack = RephraseAttack(source, phrasings=2, samples=1)
    made = make_probes(some, attack, seed=0)
    assert model.calls == [5]
    assert [p.source for p in made.probes] == ["rephraser", "certify templates"] * 5
    assert made == make_probes(some, attack, seed=0)
    assert model.calls == [5], "what is remembered is not asked again"
    used = tuple(p.prompt for p in made.probes[:2])
    again = make_probes(some, replace(attack, exclude=used), seed=0)
    assert model.calls == [5, 1], "only whose phrasings were used needs more of them"
    assert not {p.prompt for p in again.probes} & set(used)
    assert len(again.probes) == 10


def test_a_model_that_fails_for_all_facts_is_counted_for_each() -> None:
    class Broken(AnyOf):
        def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
            raise OSError("gone")

    attack = RephraseAttack(TrainedRephraser(Broken(), near), phrasings=2, samples=1)
    made = make_probes([FACT, QUESTION], attack, seed=0)
    assert made.rephraser_failures == 2
    assert len(made.probes) == 4, "templates stand in"


def test_the_users_list_is_taken_by_id_or_by_prompt_and_filtered_like_all() -> None:
    own = ["Danielle Darrieux spoke which language?", "danielle darrieux spoke which language",
           "What is her language?", "Did Danielle Darrieux speak French?"]  # fmt: skip
    for key in ("f", "The mother tongue of Danielle Darrieux is ___"):
        made = ListRephraser({key: own}).rephrase(FACT, 4, 0)
        assert len(made) == 1
        assert made[0].source == "list"
        assert texts(made[0].text) == texts(own[0])
    assert ListRephraser({"other": own}).rephrase(FACT, 4, 0) == []


def test_model_and_templates_take_turns_however_many_are_wanted() -> None:
    lines = [
        f"Which {kind} did Danielle Darrieux speak?" for kind in ("tongue", "language", "idiom", "dialect")
    ]
    mixed = MixedRephraser(TrainedRephraser(Scripted(lines), near), TemplateRephraser())
    sources = [p.source for p in mixed.rephrase(FACT, 40, 0)]
    assert sources[:6] == ["rephraser", "certify templates"] * 3


def test_a_remembered_rephraser_asks_once_for_the_same() -> None:
    class Counting(TemplateRephraser):
        asked = 0

        def rephrase(self, fact: AuditFact, count: int, seed: int) -> list[Phrasing]:
            self.asked += 1
            return super().rephrase(fact, count, seed)

    inner = Counting()
    remembered = RememberedRephraser(inner)
    assert remembered.rephrase(FACT, 4, 0) == remembered.rephrase(FACT, 4, 0)
    assert inner.asked == 1
    assert remembered.rephrase(FACT, 4, 1) != remembered.rephrase(FACT, 4, 0)
    assert inner.asked == 2


def test_what_the_repair_set_could_say_is_taken_out_of_the_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = {"certify": ("Now: {statement}", "Then: {statement}"), "repair": ("NOW {statement}!",)}
    monkeypatch.setattr("audit.frames.frames", lambda purpose: {"context": same[purpose]})
    assert phrasings(FACT, "certify") == {"context": [f"Then: {FACT.prompt}"]}
