"""The rephraser's benchmark: every figure says what its name says."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.facts import AuditFact
from audit.model_rephrase import TrainedRephraser
from benchmarks import rephraser
from benchmarks.rephraser import Asked, Meter, by_model, by_templates, facts, means, overlap, tables

FACT = AuditFact("f", "The mother tongue of Danielle Darrieux is", ("French",), "Danielle Darrieux")
ASKED = Asked(FACT, "counterfact", True)


@pytest.fixture(scope="module")
def meter() -> Meter:
    return Meter()


class Scripted:
    name = "scripted"

    def __init__(self, lines: Sequence[str]) -> None:
        self.said = lines

    def sample(self, prompts: Sequence[str], *, samples: int, **_: object) -> list[list[str]]:
        return [[self.said[n % len(self.said)] for n in range(samples)] for _ in prompts]


def test_the_figures_of_a_models_lines(meter: Meter) -> None:
    lines = [
        "What is the native language of Danielle Darrieux?",
        "Danielle Darrieux, whose native language is French",
        "Where did she die?",
        "The mother tongue of Danielle Darrieux is",
    ]
    [row] = by_model(TrainedRephraser(Scripted(lines), meter.similarity), [ASKED], meter, "trained")
    assert (row["answer absent"], row["subject kept"], row["new"]) == (0.75, 0.75, 0.75)
    assert (row["distinct"], row["usable"], row["enough"]) == (4, 1, 0.0)
    assert row["same question, usable"] == row["questions, usable"] == 1.0
    assert row["same question"] < 1.0
    assert row["overlap, usable"] is None


def test_the_judge_tells_another_question_about_the_same_subject(meter: Meter) -> None:
    lines = ["What is the native language of Danielle Darrieux?", "Where was Danielle Darrieux buried?"]
    assert meter.same(FACT, lines) == [True, False]


def test_overlap_is_of_words_without_the_name() -> None:
    same = ["Where does Danielle Darrieux live?", "where does danielle darrieux live"]
    assert overlap(FACT, same) == 1.0
    assert overlap(FACT, ["Danielle Darrieux lives", "Danielle Darrieux spoke"]) == 0.0
    assert overlap(FACT, ["one line"]) is None


def test_templates_name_the_subject_and_hide_the_answer(meter: Meter) -> None:
    [row] = by_templates([ASKED], meter)
    assert (row["answer absent"], row["subject kept"], row["new"], row["enough"]) == (1.0, 1.0, 1.0, 1.0)


def test_means_leave_out_what_a_fact_does_not_have() -> None:
    row = {"source": "trained", "group": "zsre", "unseen": False}
    rows = [{**row, "usable": 2, "overlap": None}, {**row, "usable": 4, "overlap": 0.5}]
    assert means(rows) == {"usable": 3, "overlap": 0.5, "facts": 2}
    assert set(tables(rows)["trained"]) == {"zsre"}


def test_only_cases_that_are_not_trained_on_are_asked(tmp_path: Path) -> None:
    told = {"prompt": "{} is in", "subject": "X1", "target_true": {"str": "Rome"}, "relation_id": "P131"}
    records = [{"case_id": n, "requested_rewrite": told} for n in (1, 1999, 2000)]
    (tmp_path / "cf.json").write_text(json.dumps(records))
    (tmp_path / "zsre.json").write_text(json.dumps([{"src": "Who?", "answers": ["A"], "subject": "B"}]))
    asked = facts(tmp_path / "cf.json", tmp_path / "zsre.json", ["P131"], 10)
    assert [one.fact.id for one in asked] == ["counterfact 1", "counterfact 1999", "zsre 0"]
    assert [one.unseen for one in asked] == [True, True, False]


def test_the_rows_stand_beside_base_and_templates() -> None:
    figures = {"zsre": {"usable": 5.0, "facts": 2}}
    found = {"trained": figures, "few-shot": {"zsre": {"usable": 1.0, "facts": 2}}}
    [row] = rephraser.rows_of(found)
    assert (row.measured, row.base, row.reach) == (5.0, 1.0, "≥ 4")
