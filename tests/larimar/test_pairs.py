"""Training pairs of the judge: labels that mean what they say, names hidden, held-back relations absent."""

import json
import random
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from larimar.pairs import Material, PairSource, close_relations, inverses
from larimar.relations import (
    Relation,
    add_records,
    add_wordings,
    alike,
    from_templates,
    held_out,
    same_question,
    told_apart,
)
from larimar.restate import statements

ROWS = {
    "P36": [
        ("what is the capital of", "?"),
        ("which city is the capital of", "?"),
        ("what's the capital of", "?"),
    ],
    "-P36": [("", "is the capital of which state?"), ("what state has", "as its capital?")],
    "P50": [("who wrote", "?"), ("who is the author of", "?")],
    "P57": [("who directed", "?"), ("who is the director of", "?")],
}


@pytest.fixture
def relations(tmp_path: Path) -> dict[str, Relation]:
    rows = [
        {"template_key": {"p": p}, "templates": [{"left": a, "right": b} for a, b in texts]}
        for p, texts in ROWS.items()
    ]
    (tmp_path / "templates.json").write_text(json.dumps(rows))
    return from_templates(tmp_path / "templates.json")


@pytest.fixture
def material(relations: dict[str, Relation]) -> Material:
    listed = list(relations.values())
    rng = np.random.default_rng(0)
    close = close_relations(listed, lambda texts: rng.normal(size=(len(texts), 8)).astype(np.float32))
    names = ["Ada Lovelace", "Alan Turing", "Grace Hopper", "Kurt Godel"]
    return Material(
        listed, close, inverses(listed), names, ["It rained."], [("Ada", "Who is Ada?", "Ada is who?")]
    )


def test_statements_are_made_of_questions() -> None:
    assert "the capital of {} is" in statements("what is the capital of {}?")
    assert statements("who directed {}?") == ["{} was directed by", "{}, directed by"]
    assert statements("where was {} born?")[0] == "{} was born in"
    assert statements("why {}?") == []


def test_examples_have_both_labels_and_hide_the_name(material: Material) -> None:
    source = PairSource(material, random.Random(0))
    drawn = [source.draw() for _ in range(400)]
    share = np.mean([d.label for d in drawn])
    assert 0.3 < share < 0.6
    asked = [d for d in drawn if d.kind == "close relation"]
    assert asked
    assert np.mean(["X" in d.stored for d in drawn]) > 0.7
    assert all(d.stored != d.query for d in asked)


def test_relations_that_are_left_out_are_neither_stored_nor_asked(material: Material) -> None:
    source = PairSource(material, random.Random(0), without=frozenset({"P36"}))
    drawn = [source.draw() for _ in range(300)]
    kept = [d for d in drawn if d.kind not in ("nested", "question", "other question")]
    assert not any("capital" in (d.stored + d.query).lower() for d in kept)


def test_relations_whose_wordings_ask_the_same_are_no_negatives(relations: dict[str, Relation]) -> None:
    assert same_question("P17", "P131")
    assert not same_question("P19", "P20")
    assert not alike(relations["P50"], relations["P57"])


def test_benchmark_records_are_never_read(tmp_path: Path, relations: dict[str, Relation]) -> None:
    records = [
        {
            "case_id": case, "paraphrase_prompts": [f"It rained. {name} has as capital"],
            "requested_rewrite": {
                "prompt": text, "subject": name, "relation_id": "P36", "target_true": {"str": "Paris"},
            },
        }
        for case, name, text in ((1999, "Scored", "{} secret"), (2000, "Free", "{} is ruled from"))
    ]  # fmt: skip
    path = tmp_path / "records.json"
    path.write_text(json.dumps(records))
    add_records(relations, path, path, 2000)
    assert relations["P36"].subjects == ["Free"]
    assert "{} is ruled from" in relations["P36"].phrasings
    assert "{} secret" not in relations["P36"].phrasings


def test_free_wordings_ask_the_same_and_near_misses_do_not(
    relations: dict[str, Relation], tmp_path: Path
) -> None:
    rows = {"P50": {"same": ["Whose pen did {} come from?"], "other": ["Who printed {}?"]}}
    (tmp_path / "wordings.json").write_text(json.dumps(rows))
    add_wordings(relations, tmp_path / "wordings.json")
    book = relations["P50"]
    assert all("Whose pen did {} come from?" in group for group in book.groups)
    listed = list(relations.values())
    close = {r.id: [] for r in listed}
    stuff = Material(
        listed,
        close,
        inverses(listed),
        ["Ada Lovelace"],
        ["It rained."],
        [("Ada", "Who is Ada?", "Ada is who?")],
    )
    source = PairSource(stuff, random.Random(0))
    source.restrict([book])
    drawn = [source.draw() for _ in range(300)]
    texts = {label: " ".join(d.query.lower() for d in drawn if d.label == label) for label in (0, 1)}
    assert "whose pen" in texts[1]
    assert "printed" in texts[0]
    assert "printed" not in texts[1]


def test_what_templates_confuse_and_wordings_tell_apart_is_a_negative_in_free_wordings() -> None:
    born = Relation("P569", ["{} was born in", "when was {} born?"])
    place = Relation("P1071", ["{} was born in", "where was {} born?"])
    for relation, texts in ((born, ["{}'s birthday is"]), (place, ["The birthplace of {} is"])):
        relation.sources = [relation.phrasings]
        relation.wordings = texts
    listed = [born, place]
    assert alike(born, place)
    assert told_apart(born, place)
    close = close_relations(listed, lambda texts: np.ones((len(texts), 8), dtype=np.float32))
    assert close == {"P569": [1], "P1071": [0]}
    stuff = Material(listed, close, {}, ["Ada"], ["It rained."], [("Ada", "Who is Ada?", "Ada is who?")])
    source = PairSource(stuff, random.Random(0))
    source.restrict(listed)
    drawn = [source.draw() for _ in range(400)]
    pairs = {(d.stored.lower(), d.query.lower()) for d in drawn if d.kind == "close relation"}
    assert any("birthday" in stored and "birthplace" in query for stored, query in pairs)
    assert not any("born" in stored for stored, _ in pairs)


def test_synonyms_and_shared_wordings_are_never_told_apart() -> None:
    part, whole = (Relation(key, wordings=[f"{key} of {{}}"]) for key in ("-P527", "P361"))
    assert not told_apart(part, whole)
    one, other = (Relation(key, wordings=["Who owns {}?"]) for key in ("Q1", "Q2"))
    assert not told_apart(one, other)
    assert not told_apart(Relation("Q1"), Relation("Q2"))


def test_personal_relations_come_with_the_shipped_wordings_and_some_are_held_back() -> None:
    relations = {f"P{i}": Relation(f"P{i}", ["{} a", "{} b"]) for i in range(2000, 2060)}
    before = held_out(relations)
    add_wordings(relations)
    assert before < held_out(relations)
    assert len(held_out(relations) - before) == 10
    assert "personal-phone" in relations.keys() - held_out(relations)
    assert same_question("personal-employer", "P108")
    assert not same_question("P108", "P937")  # what asks like a personal one asks not like each other
    assert len(relations["personal-phone"].groups[0]) > 20


def test_the_shipped_wordings_name_the_subject_once() -> None:
    path = resources.files("larimar") / "data" / "wordings.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert len(rows) > 400
    for row in rows.values():
        assert all(text.count("{}") == 1 for text in (*row["same"], *row["other"]))
        assert not set(row["same"]) & set(row["other"])
