"""Validation of a reader: figures come from its own reads, whatever the scope detector would say."""

import json
from pathlib import Path

import pytest

from larimar import Larimar
from larimar.validate import edits, questions, tombstones


@pytest.fixture
def records(tmp_path: Path) -> Path:
    rewrites = [
        {"prompt": "{} was born in", "subject": f"Ann {n}", "target_new": {"str": "Rome"},
         "target_true": {"str": "Oslo"}}
        for n in range(4)
    ]  # fmt: skip
    rows = [
        {
            "case_id": 1998 + n,
            "requested_rewrite": r,
            "paraphrase_prompts": [f"The birthplace of {r['subject']} is"],
        }
        for n, r in enumerate(rewrites)
    ]
    path = tmp_path / "full.json"
    path.write_text(json.dumps(rows))
    return path


def test_only_cases_that_no_benchmark_scores_are_read(tiny: Larimar, records: Path) -> None:
    assert set(edits(tiny, records, 2000, 10)) == {"edit S", "edit M", "paraphrase S", "paraphrase M"}
    assert 0 <= tombstones(tiny, records, 2000, 10)["unknown"] <= 100
    with pytest.raises(SystemExit, match="no record from case 3000"):
        edits(tiny, records, 3000, 10)


def test_questions_are_asked_as_orders_too(tiny: Larimar, tmp_path: Path) -> None:
    path = tmp_path / "questions.json"
    rows = [
        {
            "subject": f"Bo {n}",
            "src": f"Who is Bo {n}?",
            "rephrase": f"Which man is Bo {n}?",
            "answers": ["a"],
        }
        for n in range(3)
    ]
    path.write_text(json.dumps(rows))
    assert set(questions(tiny, path)) == {"question", "order"}
