"""The shipped checkpoint, on the facts of the demonstration: it recalls, forgets and keeps silent."""

import json
from importlib import resources

import pytest
import torch

from larimar import Fact, Larimar
from larimar.rephraser import Rephraser

pytestmark = pytest.mark.model

LISTS = json.loads((resources.files("unwrite") / "data" / "demo_facts.json").read_text(encoding="utf-8"))


def facts(name: str, count: int) -> list[Fact]:
    rows = LISTS[name][:count]
    return [Fact(f"{name}-{i}", r["prompt"], r["answer"], r["subject"]) for i, r in enumerate(rows)]


def told(model: Larimar, asked: list[Fact]) -> list[bool]:
    said = model.generate([fact.prompt for fact in asked], greedy=True, max_tokens=24)
    return [fact.answer.lower() in outputs[0].lower() for fact, outputs in zip(asked, said, strict=True)]


def test_what_is_forgotten_is_not_told_and_what_is_kept_is(shipped: Larimar) -> None:
    kept, gone = facts("retained", 16), facts("forget", 8)
    shipped.write(kept)
    never = shipped.digest()
    shipped.write(gone)
    assert told(shipped, kept + gone) == [True] * 24
    shipped.forget([fact.id for fact in gone])
    assert shipped.digest() == never
    assert told(shipped, kept + gone) == [True] * 16 + [False] * 8


def test_an_answer_ends_where_the_fact_ends(shipped: Larimar) -> None:
    kept = facts("retained", 16)
    shipped.write(kept)
    said = shipped.generate([fact.prompt for fact in kept], greedy=True, max_tokens=48)
    assert said == [[f" {fact.answer}."] for fact in kept]


def test_a_rephrased_question_reads_the_same_fact(shipped: Larimar) -> None:
    shipped.write([Fact("f", "In which city was Jina An born?", "Seoul", "Jina An")])
    [said] = shipped.generate(["It was raining. Jina An was born in the city of"], greedy=True)
    assert "Seoul" in said[0]


@pytest.mark.parametrize("decoding", ["constrained", "free"])
def test_what_the_decoder_knows_can_be_censored(shipped: Larimar, decoding: str) -> None:
    shipped.tombstone_decoding = decoding  # type: ignore[assignment]
    known = facts("censor", 8)
    before = sum(told(shipped, known))
    shipped.censor(known)
    assert before >= 4
    assert sum(told(shipped, known)) == 0


def test_two_questions_about_one_subject_keep_their_own_answers(shipped: Larimar) -> None:
    shipped.write(
        [
            Fact("first", "What is the first book written by Ada Byrne?", "Shadows of Rome", "Ada Byrne"),
            Fact("latest", "What is the latest book written by Ada Byrne?", "Venetian Vendetta", "Ada Byrne"),
        ]
    )
    prompts = [
        "What is the first book written by Ada Byrne?",
        "What is the latest book written by Ada Byrne?",
    ]
    assert shipped.in_scope(prompts) == ["first", "latest"]


def test_every_stored_prompt_finds_its_own_fact(shipped: Larimar) -> None:
    """«Another book by X» and «one of the books by X» are alike enough to be in each other's scope."""
    stored = facts("forget", 20) + facts("retained", 180)
    shipped.write(stored)
    assert shipped.in_scope([fact.prompt for fact in stored]) == [fact.id for fact in stored]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_recalls_censors_and_forgets_as_a_processor_does(shipped: Larimar) -> None:
    there = Larimar.load(device="cuda")
    kept, gone, known = facts("retained", 8), facts("forget", 4), facts("censor", 4)
    for model in (shipped, there):
        model.write(kept + gone)
        model.censor(known)
        model.forget([fact.id for fact in gone])
    assert there.digest() == shipped.digest()
    assert told(there, kept + gone) == [True] * 8 + [False] * 4
    assert sum(told(there, known)) == 0


def test_the_shipped_rephraser_says_things_in_other_words() -> None:
    asked = ["Where was Ada Byrne born?", "The mother tongue of Ken Olu is"]
    for prompt, name, lines in zip(
        asked, ("Ada Byrne", "Ken Olu"), Rephraser.load().sample(asked, samples=8), strict=True
    ):
        assert sum(name in line for line in lines) >= 7
        assert len(set(lines) - {prompt}) >= 5
        assert sum(line.endswith("?") for line in lines) >= 3
        assert not any("user" in line or "assistant" in line for line in lines)
