"""The TOFU benchmark forgets what it says, asks the model's own way, and its figures are those of its rows."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import tofu as bench
from benchmarks import tofu_page
from benchmarks.make_tofu import author
from benchmarks.recording import Journal, write_result
from benchmarks.summary import page
from benchmarks.tofu_data import PER_AUTHOR, SPLITS, Tofu, load
from benchmarks.tofu_measures import rouge_l_recall
from larimar import Larimar

TOFU = load()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Tofu:
    """Two authors with short answers; the last one's facts are the forget sets, some of them asked."""
    for split, count in {"forget01": 2, "forget05": 4, "forget10": 20}.items():
        monkeypatch.setitem(SPLITS, split, count)
    monkeypatch.setattr(bench, "ANSWER", replace(bench.ANSWER, max_tokens=4))
    facts = tuple(
        replace(fact, prompt=f"{fact.subject} {n}?", answer=f"no. {n}")
        for n, fact in enumerate(TOFU.facts[:20] + TOFU.facts[-20:])
    )
    asked = {fact.id: fact for fact in facts}
    questions = {
        name: tuple(
            replace(q, question=asked[q.fact_id].prompt, answer=asked[q.fact_id].answer) if q.fact_id else q
            for q in some
        )
        for name, some in {
            "forget": TOFU.questions["forget"][-3:], "retain": TOFU.questions["retain"][:1],
            "real_authors": TOFU.questions["real_authors"][:1], "world_facts": TOFU.questions["world_facts"][:1],
        }.items()
    }  # fmt: skip
    return Tofu(facts, questions)


def test_the_packed_data_are_tofus() -> None:
    assert len(TOFU.facts) == 4000
    assert {name: len(some) for name, some in TOFU.questions.items()} == {
        "forget": 400, "retain": 400, "real_authors": 100, "world_facts": 117,
    }  # fmt: skip
    facts = {fact.id: fact for fact in TOFU.facts}
    for question in (*TOFU.questions["forget"], *TOFU.questions["retain"]):
        fact = facts[question.fact_id]
        assert (fact.prompt, fact.answer) == (question.question, question.answer)
        assert len(question.perturbed) == 5
    assert [len(TOFU.asked(split)) for split in SPLITS] == [40, 200, 400]
    assert not set(TOFU.forgotten("forget10")) & {q.fact_id for q in TOFU.questions["retain"]}


def test_a_groups_author_is_the_name_that_it_repeats() -> None:
    texts = [("Who is Ana de la Cruz?", "A writer in New York."), ("Was Ana de la Cruz's book good?", "Yes.")]
    assert author([{"question": q, "answer": a} for q, a in texts]) == "Ana de la Cruz"
    assert TOFU.facts[-1].subject == "Nikolai Abilov"
    named = sum(fact.subject in fact.prompt for fact in TOFU.facts if fact.subject)
    assert named > 0.9 * len(TOFU.facts)


def test_measuring_is_the_models_own_scoring_and_answering(tiny: Larimar, small: Tofu) -> None:
    tiny.write(small.facts)
    questions = (*small.questions["forget"], *small.questions["world_facts"])
    rows = bench.measure(tiny, questions)
    asked = [q.question for q in questions]
    assert [row["reached"] for row in rows] == tiny.in_scope(asked)
    assert [row["answer"]["total"] / row["answer"]["tokens"] for row in rows] == pytest.approx(
        tiny.score(asked, [q.answer for q in questions]), abs=0.05
    )
    said = tiny.generate(asked, **asdict(bench.ANSWER))
    assert [row["rouge"] for row in rows] == [
        rouge_l_recall(q.answer, made[0]) for q, made in zip(questions, said, strict=True)
    ]


def test_facts_that_are_too_long_are_left_out_and_counted(tiny: Larimar, small: Tofu) -> None:
    long = replace(small.facts[0], answer="very " * 600)
    assert bench.write_all(tiny, [long, *small.facts[1:3]]) == [long.id]
    assert list(tiny.bank.entries) == [fact.id for fact in small.facts[1:3]]


def test_a_run_forgets_exactly_and_gives_the_page(tiny: Larimar, small: Tofu, tmp_path: Path) -> None:
    path = tmp_path / "tofu.jsonl"
    measured = bench.benchmark(tiny, small, Journal(path, {}))
    assert len(tiny.bank) == len(small.facts) - PER_AUTHOR
    figures = tofu_page.figures(measured, small)
    for split in SPLITS:
        assert figures[split]["equals_never_written"]
        assert figures[split]["quality"] == 1.0
        assert figures[split]["forget"]["reaches_own"] == 0.0
        assert figures[split]["before"]["reaches_own"] == 100.0
    assert figures["same_author"]["before"]["reaches_own"] == 100.0
    assert figures["same_author"]["after"]["reaches_own"] == 0.0
    write_result(
        "tofu", {"benchmark": "TOFU", "note": tofu_page.NOTE, **figures}, rows=tofu_page.rows(figures),
        command="make bench-tofu", directory=tmp_path,
    )  # fmt: skip
    text = page(tmp_path)
    assert "by construction" in text
    assert "| forget10: forget quality, after | – | – | 1.0 | 1.0 |" in text
    assert "0.42 / 0.54 and 0.02 / 0.46" in text
    tofu_page.draw(figures, tmp_path / "tofu.png")
    assert (tmp_path / "tofu.png").read_bytes().startswith(b"\x89PNG")
    stopped_there(path)
    again = bench.benchmark(tiny.with_bank(), small, Journal(path, {}))
    assert tofu_page.figures({**again, "written": measured["written"]}, small) == figures


def stopped_there(journal: Path) -> None:
    """The journal of a run that was stopped near its end."""
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:-3]) + "\n")


def test_a_removal_that_leaves_a_trace_is_not_called_exact(
    tiny: Larimar, small: Tofu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Larimar, "forget", lambda self, ids: self.bank.remove(ids[1:]))
    bench.write_all(tiny, small.facts)
    with pytest.raises(AssertionError, match="never-written"):
        bench.forget_splits(
            bench.Run(Journal(tmp_path / "a.jsonl", {})), tiny, small, {f.id for f in small.facts}
        )
