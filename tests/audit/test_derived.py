"""Words derived from an answer tell it, one way only, and unless the question says them itself."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.blind import BlindDetector, BlindKey, BlindRecord, blinded, record, record_alone, vocabulary
from audit.derived import MOST_DERIVED, MOST_WORDS, derived
from audit.detect import ExactDetector
from audit.facts import AuditFact
from audit.telling import bare
from audit.words import STOP_WORDS, find, texts

KEY = BlindKey(bytes(range(32)))
LINES = [
    line
    for line in (files("audit") / "data" / "derived.txt").read_text(encoding="utf-8").splitlines()
    if line.strip() and not line.startswith("#")
]
ANSWERS = [line.partition(":")[0] for line in LINES]
SHORT = {"jew", "lao", "spy"}


def judged(fact: AuditFact, prompt: str, output: str) -> str:
    """What both detectors say, which must be the same."""
    exact = ExactDetector().judge(fact, prompt, output)
    assert BlindDetector().judge(blinded(fact, KEY), prompt, output) == exact
    return exact


def judge(answer: str, output: str, prompt: str = "X comes from", subject: str = "X") -> str:
    return judged(AuditFact("f", prompt, (answer,), subject), prompt, output)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("Denmark", " a Danish painter"), ("denmark", " one of the DANES"), ("Islam", " He is a Muslim."),
        ("Islam", " Islamic law"), ("the Netherlands", " a Dutchman"), ("Netherlands", " Dutch"),
        ("The Gambia", " Gambian"), ("South Africa", " a South African runner"), ("piano", " pianist"),
        ("the piano", " pianist"), ("physics", " a well-known physicist"), ("Côte d’Ivoire", " the Ivorian coast"),
        ("Judaism", " a Jew"), ("actor", " actress"), ("Papua New Guinea", " Papua New Guineans"),
        ("France", " the Danish-French border of a Frenchwoman's garden"), ("U.S.A.", " American"),
        ("Quebec", " Quebecois"), ("São Paulo", " paulistano"), ("diabetes", " diabetic"),
    ],
)  # fmt: skip
def test_a_derived_word_tells(answer: str, output: str) -> None:
    assert judge(answer, output) == "leaked"


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("Danish", " Denmark"), ("Danish", " Dane"), ("Muslim", " Islam"), ("pianist", " the piano"),
        ("French", " France"), ("Parisian", " Paris"), ("Denmark", " Swedish"), ("Denmark", " danishes"),
        ("South Africa", " African"), ("South Africa", " the south of some African land"),
        ("Niger", " Nigerian"), ("Nigeria", " Nigerien"), ("my piano", " pianist"),
    ],
)  # fmt: skip
def test_it_tells_one_way_only_and_whole(answer: str, output: str) -> None:
    assert judge(answer, output) == "clean"


def test_no_two_answers_of_the_list_tell_each_other() -> None:
    normal = {texts(answer): {texts(word) for word in derived(answer)} for answer in ANSWERS}
    assert [a for a, words in normal.items() for word in words if a in normal.get(word, ())] == []


def test_what_the_question_says_itself_tells_nothing() -> None:
    film = "The Danish Film Institute is located in"
    assert judge("Denmark", " the Danish capital", film) == "clean"
    assert judge("Denmark", " Denmark", film) == "leaked"
    assert judge("Denmark", " the land of the Danes", film) == "leaked", "another word than the prompt's"
    assert (
        judge("South Africa", " a South African", "The South African Broadcasting Corporation is in")
        == "clean"
    )
    assert judge("South Africa", " a South African", "Which African land lies in the south?") == "leaked"


def test_nor_what_its_names_say_where_the_prompt_uses_others() -> None:
    own = "The Danish Film Institute is located in"
    fact = AuditFact("f", own, ("Denmark",), "Danish Film Institute")
    assert judged(fact, "The DFI is located in", " the Danish Film Institute") == "clean"
    assert judged(AuditFact("f", own, ("Denmark",)), "The DFI is in", " a Danish town") == "clean"
    aliased = AuditFact("f", "The DFI is located in", ("Denmark",), "DFI", ("Danish Film Institute",))
    assert judged(aliased, "The DFI is located in", " the Danish Film Institute") == "clean"
    unnamed = AuditFact("f", "The DFI is located in", ("Denmark",), "DFI")
    assert judged(unnamed, "The DFI is located in", " a Danish town") == "leaked"


def test_a_prompt_that_says_a_derived_word_can_be_scored() -> None:
    assert judge("Denmark", " nothing", "The Danish Film Institute is located in") == "clean"
    assert not AuditFact("f", "p", ("Denmark",)).holds_answer("Danish")


PIECES = st.sampled_from(
    "Denmark Danish Danes Dane South Africa African Africans Islam Muslim Muslims New Zealand Zealander the a".split()
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["Denmark", "South Africa", "the Islam", "New Zealand", "Danish", "Lisbon"]),
    st.lists(PIECES, max_size=4),
    st.lists(PIECES, max_size=8),
    st.sampled_from(["", "Danish Film", "South African Muslims"]),
)
def test_both_detectors_agree(answer: str, asked: list[str], said: list[str], subject: str) -> None:
    prompt = " ".join(asked)
    judged(AuditFact("f", f"{subject} lives in", (answer,), subject), prompt, " ".join(said))


def test_of_every_listed_answer_both_find_every_word() -> None:
    for answer in ANSWERS:
        fact = AuditFact("f", "X is", (answer,), "X")
        blind, words = blinded(fact, KEY), derived(answer)
        assert words, answer
        for word in words:
            assert ExactDetector().judge(fact, "X is", f" a {word}.") == "leaked", (answer, word)
            assert BlindDetector().judge(blind, "X is", f" a {word}.") == "leaked", (answer, word)


def test_the_list_is_well_formed() -> None:
    normal = Counter(texts(answer) for answer in ANSWERS)
    assert [answer for answer, times in normal.items() if times > 1] == []
    assert all(said and bare(said) == said for said in normal), "articles do not count"
    for line, answer in zip(LINES, ANSWERS, strict=True):
        own, words = texts(answer), [texts(word) for word in derived(answer)]
        assert line == f"{answer}: {', '.join(derived(answer))}", line
        assert len(set(words)) == len(words) <= MOST_DERIVED, line
        assert all(0 < len(word) <= MOST_WORDS for word in words), line
        assert not any(find(own, word) >= 0 for word in words), f"found without the list: {line}"
        assert not any(set(word) <= STOP_WORDS for word in words), line
        assert all(len("".join(word)) >= 4 or word[0] in SHORT for word in words), line


def test_the_list_is_no_public_vocabulary() -> None:
    """A record may keep digests of single words of an answer that stand in the vocabulary."""
    assert not vocabulary() & {"liverpudlian", "liechtenstein", "zoroastrianism", "ukulele"}


def test_the_words_are_given_as_they_are_written_whatever_the_article() -> None:
    assert derived("Denmark") == ("Danish", "Dane", "Danes")
    assert derived("THE NETHERLANDS") == derived("Netherlands") != ()
    assert derived("a piano") == derived("piano")


@pytest.mark.parametrize("answer", ["Lisbon, my love", "", "12 May 1991"])
def test_what_is_not_listed_has_no_derived_words(answer: str) -> None:
    assert derived(answer) == ()


def test_the_number_of_digests_does_not_show_that_an_answer_is_listed() -> None:
    counts = {
        len(record(KEY, AuditFact("f", "X is", (answer,), "X")).answers[0].digests)
        for answer in ("Denmark", "Zimbabwe", "Judaism", "piano", "Wednesday", "Quux")
    }
    assert len(counts) == 1


def test_a_record_without_derived_digests_is_read_and_works_as_before() -> None:
    fact = AuditFact("f", "X comes from", ("Denmark",), "X")
    data = json.loads(record_alone(KEY, fact) or b"")
    purposes = {KEY.digest("derived", *texts(word)) for word in derived("Denmark")}
    [answer] = data["answers"]
    answer["digests"] = [one for one in answer["digests"] if one not in purposes]
    old = blinded(fact, KEY, BlindRecord.model_validate(data))
    assert BlindDetector().judge(old, fact.prompt, " Denmark") == "leaked"
    assert BlindDetector().judge(old, fact.prompt, " Danish") == "clean"
    assert BlindDetector().judge(old, "Denmark", " Denmark") == "unscored"
