"""ZsRE, rephrasings, retention and speed: the metrics, and that they ask the model what they say."""

import random

import pytest
import torch

from benchmarks.datasets import DATA, Rephrased, ZsreEdit, zsre_edits, zsre_rephrasings
from benchmarks.decoding_speed import Case, measure
from benchmarks.rephrase import ask, f1, recalled
from benchmarks.rephrase import means as recall_means
from benchmarks.retention import perplexity, plain
from benchmarks.retention import score as score_text
from benchmarks.zsre import means, score
from larimar import Fact, Larimar

EDIT = ZsreEdit(
    "Jina An", "Where was Jina An born?", "Jina An's birthplace?", "Seoul", "Where do bees live?", "hives"
)


def test_the_shipped_data_are_whole() -> None:
    assert len(zsre_edits(DATA / "zsre_edits.json")) == 1037
    facts = zsre_rephrasings(DATA / "zsre_rephrasings.json")
    assert len({fact.phrasings[0] for fact in facts}) == len(facts) == 1286
    assert all(len(set(fact.phrasings)) == len(fact.phrasings) > 1 for fact in facts)


def test_zsre_means_are_per_kind_in_per_cent() -> None:
    rows = [{"edited": [1.0, 0.5, 0.0]}, {"edited": [1.0, 0.0, 0.5]}]
    assert means(rows, "edited") == {"edit success": 100.0, "paraphrase": 25.0, "specificity": 25.0}


def test_a_zsre_edit_is_asked_about_its_own_bank(tiny: Larimar) -> None:
    other = ZsreEdit(
        "Rory", "What did Rory write?", "Rory wrote what?", "Hannah", "Where do bees live?", "hives"
    )
    rows = score(tiny, [EDIT, other], first=0)
    assert [row["inside"][0] for row in rows] == [True, True]
    assert [row["edited"][2] for row in rows] == [row["base"][2] for row in rows]
    assert len(tiny.bank) == 0


def test_forced_tokens_are_compared_with_what_greedy_decoding_says(tiny: Larimar) -> None:
    [[said]] = tiny.base.generate(["The bridge"], greedy=True, max_tokens=4)
    ids = tiny.weights.tokens(said)
    wrong = tiny.weights.base.tokenizer.decode([*ids[:-1], (ids[-1] + 1) % 1000])
    query = tiny.weights.base.query("The bridge")
    right, mixed = tiny.weights.base.force([query, query], [said, wrong])
    assert right.accuracy == 1.0
    assert mixed.accuracy == pytest.approx(1 - 1 / len(ids))


@pytest.mark.parametrize(
    ("said", "answer", "score", "found"),
    [
        (" Seoul.", "Seoul", 1.0, True),
        (" New York City.\nWhat else", "New York", 0.8, True),
        (" seoul", "Seoul", 1.0, True),
        (" Seoulites", "Seoul", 0.0, False),
        ("", "Seoul", 0.0, False),
        (" I do not know", "Seoul", 0.0, False),
    ],
)
def test_recall_and_f1(said: str, answer: str, score: float, found: bool) -> None:
    assert f1(said, answer) == pytest.approx(score)
    assert recalled(said, answer) is found


def test_rephrasings_that_are_asked_were_not_stored(tiny: Larimar, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str] = []
    write, widen = Larimar.write, Larimar.widen
    asked: list[str] = []

    def watched_write(model: Larimar, facts: list[Fact]) -> object:
        stored.extend(fact.prompt for fact in facts)
        return write(model, facts)

    def watched_widen(model: Larimar, fact_id: str, more: list[str]) -> object:
        stored.extend(more)
        return widen(model, fact_id, more)

    def generate(_: Larimar, prompts: list[str], **__: object) -> list[list[str]]:
        asked.extend(prompts)
        return [[" Seoul"] for _ in prompts]

    monkeypatch.setattr(Larimar, "write", watched_write)
    monkeypatch.setattr(Larimar, "widen", watched_widen)
    monkeypatch.setattr(Larimar, "generate", generate)
    facts = [
        Rephrased(f"Jina {n}", "Seoul", [f"Where was Jina {n} born {w}?" for w in "abcde"]) for n in "AB"
    ]
    rows = ask(tiny, facts, stored=3, rng=random.Random(0))
    assert (len(stored), len(asked)) == (6, 4)
    assert not set(stored) & set(asked)
    assert recall_means(rows)["recall"] == 1.0
    assert recall_means(rows)["alone"] == 1.0
    twice = ask(tiny, [*facts, facts[0]], stored=3, rng=random.Random(0))
    assert 0 < recall_means(twice)["alone"] < 1, "two facts share their subject"


def test_text_out_of_scope_has_the_base_decoders_perplexity(tiny: Larimar) -> None:
    tiny.write([Fact("f", EDIT.prompt, EDIT.answer, EDIT.subject)])
    texts = [("The river flows", " through the old town"), ("Bees make", " honey"), (EDIT.prompt, " Seoul")]
    row = score_text(tiny, texts)
    assert (row["inside"], row["different"]) == (1, 0)
    assert score_text(tiny, texts[:2])["guarded"] == score_text(tiny, texts[:2])["base"]
    assert perplexity([{"base": -6.0, "tokens": 3}, {"base": 0.0, "tokens": 3}], "base") == pytest.approx(
        2.71828, 1e-4
    )


def test_retention_notices_a_changed_decoder(tiny: Larimar, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write([Fact("f", EDIT.prompt, EDIT.answer, EDIT.subject)])
    monkeypatch.setattr(tiny.weights.detector, "route", lambda prompts, index: [None] * len(prompts))
    force, calls = tiny.weights.base.force, [0]

    def drifting(queries: list[object], targets: list[str]) -> object:
        calls[0] += 1
        return force(queries, [t + " more" * (calls[0] - 1) for t in targets])  # type: ignore[arg-type]

    monkeypatch.setattr(tiny.weights.base, "force", drifting)
    assert score_text(tiny, [("The river flows", " through")])["different"] == 1


def test_wikitext_becomes_plain_text() -> None:
    assert plain(' He said , " The well @-@ known 1 @,@ 000 ( or so ) didn \'t . " ').startswith(
        'He said, "The well-known 1,000 (or so) didn'
    )


def test_speed_is_a_ratio_of_the_same_prompts(tiny: Larimar) -> None:
    torch.manual_seed(0)
    row = measure(tiny, Case("out of scope", ["Bees"], None), tokens=2, repeats=3)
    assert (row["batch"], row["tokens"], len(row["ratios"])) == (1, 2, 3)
    assert row["ratio"] == sorted(row["ratios"])[1] > 0
