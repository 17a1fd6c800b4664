"""The editing benchmarks measure what they name, on the tiny model and on scores made by hand."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.counterfact import score, score_all, tallies
from benchmarks.datasets import DATA, counterfact
from benchmarks.editing import RememberingEmbedder, check
from benchmarks.recording import Journal
from larimar import Fact, Larimar

RECORDS = counterfact(DATA / "counterfact.json", 3)


def row(
    kinds: list[str], base: list[tuple[float, float]], edited: list[tuple[float, float]]
) -> dict[str, object]:
    return {"kinds": kinds, "base": base, "edited": edited, "inside": [True] * len(kinds)}


def test_success_is_the_share_of_prompts_whose_wanted_answer_is_more_probable() -> None:
    rows = [
        row(
            ["edit", "paraphrase", "neighbourhood"],
            [(-2, -1)] * 3,
            [(-1.0, -2.0), (-1.0, -2.0), (-2.0, -1.0)],
        ),
        row(
            ["edit", "paraphrase", "neighbourhood"],
            [(-2, -1)] * 3,
            [(-1.0, -2.0), (-2.0, -2.0), (-1.0, -2.0)],
        ),
    ]
    own, base = tallies(rows, "edited"), tallies(rows, "base")
    assert [own[kind]["S"] for kind in ("edit", "paraphrase", "neighbourhood")] == [100.0, 50.0, 50.0]
    assert [base[kind]["S"] for kind in ("edit", "paraphrase", "neighbourhood")] == [0.0, 0.0, 100.0]
    assert own["edit"]["in_scope"] == 100.0
    assert base["edit"]["in_scope"] == 0.0
    assert own["edit"]["M"] == pytest.approx(100 * (0.367879 - 0.135335), abs=0.01)


def test_many_edits_in_one_batch_are_single_edits_of_empty_banks(tiny: Larimar) -> None:
    together = score(tiny, RECORDS)
    assert len(tiny.bank) == 0
    for record, scored in zip(RECORDS, together, strict=True):
        twin = tiny.with_bank()
        twin.write([Fact(str(record.case_id), record.prompt, record.new, record.subject)])
        prompts = [record.prompt, *record.paraphrases, *record.neighbours]
        assert scored.inside == [route is not None for route in twin.in_scope(prompts)]
        alone = twin.score(prompts, [record.new] * len(prompts))
        assert [new for new, _ in scored.edited] == pytest.approx(alone, abs=0.2)  # bfloat16, another batch
        outside = [i for i, inside in enumerate(scored.inside) if not inside]
        assert [scored.edited[i] for i in outside] == [scored.base[i] for i in outside]
        assert scored.edited[0] != scored.base[0]


def test_a_stopped_run_gives_the_figures_of_a_whole_one(tiny: Larimar, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl", {})
    journal.append([asdict(s) for s in score(tiny, RECORDS[:1])])
    rows = score_all(tiny, RECORDS, Journal(tmp_path / "a.jsonl", {}))
    assert [r["case_id"] for r in rows] == [record.case_id for record in RECORDS]


def test_the_check_notices_a_model_that_answers_otherwise(
    tiny: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write([Fact("f", RECORDS[0].prompt, RECORDS[0].new, RECORDS[0].subject)])
    prompts = RECORDS[0].neighbours[:2]
    monkeypatch.setattr(tiny, "score", lambda asked, wanted: [0.0] * len(asked))
    with pytest.raises(AssertionError, match="base decoder"):
        check(tiny, prompts, ["a", "b"])


def test_stored_phrasings_widen_the_scope(tiny: Larimar) -> None:
    odd = "Shayna does this and Yossel goes still and dies."
    record = replace(RECORDS[0], paraphrases=[odd], neighbours=[])
    assert [score(tiny, [r])[0].inside for r in (record, replace(record, stored=(odd,)))] == [
        [True, False],
        [True, True],
    ]


def test_remembered_embeddings_are_the_encoders_own(tiny: Larimar) -> None:
    plain = tiny.weights.detector.embedder
    remembering = RememberingEmbedder(plain)
    remembering.remember(["one", "another text"])
    assert remembering.embed(["another text", "new", "one"]) == pytest.approx(
        plain.embed(["another text", "new", "one"]), abs=1e-5
    )
    assert remembering.embed([]).shape == plain.embed([]).shape
