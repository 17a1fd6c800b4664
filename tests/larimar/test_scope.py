"""The scope detector: rephrasings in, other subjects and other questions out, removed facts gone."""

import numpy as np
import pytest

from larimar.index import ScopeIndex
from larimar.scope import Embedder, ScopeDetector, folded, mask_names, sentences_of
from larimar.weights import DEFAULT_SENTENCE_ENCODER, load_sentence_encoder


@pytest.fixture(scope="module")
def detector() -> ScopeDetector:
    return ScopeDetector(Embedder(load_sentence_encoder(DEFAULT_SENTENCE_ENCODER)))


@pytest.fixture
def index(detector: ScopeDetector) -> ScopeIndex:
    index = ScopeIndex()
    index.add(detector.store("tongue", ["The mother tongue of Danielle Darrieux is"], ["Danielle Darrieux"]))
    index.add(detector.store("city", ["In which city was Ada Lovelace born?"], ["Ada Lovelace"]))
    index.add(detector.store("nameless", ["What is the launch code of the silo?"], []))
    return index


def routed(detector: ScopeDetector, index: ScopeIndex, prompt: str) -> str | None:
    [hit] = detector.route([prompt], index)
    return hit.fact_id if hit else None


@pytest.mark.parametrize(
    ("prompt", "fact"),
    [
        ("The mother tongue of Danielle Darrieux is", "tongue"),
        ("What is the native language of Danielle Darrieux?", "tongue"),
        ("It rained all day. Danielle Darrieux spoke the language", "tongue"),
        ("Ada Lovelace was born in the city of", "city"),
        ("What's the launch code for the silo?", "nameless"),
    ],
)
def test_rephrasings_are_in_scope(detector: ScopeDetector, index: ScopeIndex, prompt: str, fact: str) -> None:
    assert routed(detector, index, prompt) == fact


@pytest.mark.parametrize(
    "prompt",
    [
        "The mother tongue of Léon Blum is",
        "In which city was Alan Turing born?",
        "What does the word silo mean?",
        "How do bees make honey?",
        "",
        " ",
    ],
)
def test_other_subjects_and_questions_are_out(
    detector: ScopeDetector, index: ScopeIndex, prompt: str
) -> None:
    assert routed(detector, index, prompt) is None


def test_a_removed_fact_is_out_of_scope_and_its_vectors_are_gone(
    detector: ScopeDetector, index: ScopeIndex
) -> None:
    prompt = "The mother tongue of Danielle Darrieux is"
    routed(detector, index, prompt)
    index.remove("tongue")
    assert routed(detector, index, prompt) is None
    assert len(index) == len(index.vectors) == 2


def test_an_empty_index_takes_nothing(detector: ScopeDetector) -> None:
    assert detector.route(["anything"], ScopeIndex()) == [None]


def test_prompts_are_judged_alone(detector: ScopeDetector, index: ScopeIndex) -> None:
    prompts = ["Ada Lovelace was born in the city of", "How do bees make honey?"]
    together = [hit and hit.fact_id for hit in detector.route(prompts, index)]
    assert together == [routed(detector, index, p) for p in prompts]


def test_embeddings_have_unit_norm(detector: ScopeDetector) -> None:
    assert np.allclose(np.linalg.norm(detector.embedder.embed(["a", "b c"]), axis=1), 1.0, atol=1e-5)


def test_names_are_masked_longest_first_whatever_their_case() -> None:
    assert mask_names("ada lovelace and Ada", ["Ada", "Ada Lovelace"]) == "X and X"
    assert mask_names("Adamant", ["Ada"]) == "Adamant"


def test_folding_removes_case_and_accents() -> None:
    assert folded("Léon ÉCLAIR") == "leon eclair"


def test_sentences_come_with_the_whole() -> None:
    assert sentences_of("It rained all day. Who is he?") == [
        "It rained all day. Who is he?",
        "It rained all day.",
        "Who is he?",
    ]
