"""Training examples: what is asked is in memory, and tombstones answer «unknown»."""

import json
import random
from pathlib import Path

from larimar import corpus


def draws(source: corpus.Source, count: int = 200) -> list[corpus.Example]:
    rng = random.Random(0)
    return [source(rng) for _ in range(count)]


def test_spans_ask_for_the_rest_of_a_sentence_or_meet_a_tombstone() -> None:
    text = "The quick brown fox jumps over the lazy dog."
    for example in draws(corpus.spans([text])):
        if example.target == "unknown.":
            assert example.written.endswith("unknown.")
        else:
            assert example.written == text
            assert f"{example.query} {example.target}" in text


def test_sentences_are_cut_by_a_sentence_splitter(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(
        "Dr. Smith went to Washington yesterday. Too short. A sentence without an end that goes on"
    )
    assert corpus.sentences(path) == ["Dr. Smith went to Washington yesterday."]


def test_question_pairs_answer_the_other_wording(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(
        json.dumps([{"src": "Who made X?", "rephrase": "X was made by whom?", "answers": ["Ann"]}])
    )
    examples = draws(corpus.question_pairs(path))
    assert {e.query for e in examples} == {"Who made X?", "X was made by whom?"}
    assert {e.target for e in examples} == {"Ann.", "unknown."}
    assert {e.written for e in examples} == {"Who made X? Ann.", "Who made X? unknown."}


def test_split_pairs_whose_halves_tell_more_than_the_whole_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    path.write_text("He sang , and she danced .\tHe sang alone . <::::> And she danced .\n")
    for example in draws(corpus.split_pairs(path), 20):
        assert example.written == "He sang, and she danced."
        assert f"{example.query} {example.target}" == "And she danced."


def test_templates_are_asked_in_other_words_about_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / "templates.json"
    pair = [{"left": "who wrote ", "right": "?"}, {"left": "the author of ", "right": " is who?"}]
    path.write_text(json.dumps([{"templates": pair}]))
    source = corpus.template_pairs(path, ["We met Ada Byron there."], ["Ann"])
    for example in draws(source, 30):
        assert "Ada Byron" in example.query
        assert "Ada Byron" in example.written
        assert not example.written.startswith(example.query)


def test_a_share_of_the_queries_follow_an_unrelated_sentence() -> None:
    source = corpus.mixture([(1.0, lambda _: corpus.Example("w", "q", "t"))], ["Rain fell."], share=0.5)
    queries = [e.query for e in draws(source)]
    assert set(queries) == {"q", "Rain fell. q"}
    assert 60 < queries.count("q") < 140


def test_questions_for_a_property_become_declarative_forms() -> None:
    group = [("What is the native language of", "?"), ("Which language does", "speak?")]
    assert corpus.declarative_forms(group) == [
        ("the native language of", "is"),
        ("", "'s native language is"),
    ]
