"""The benchmark of other decoders measures what it says, on a toy decoder."""

import json
from pathlib import Path

import pytest

from benchmarks.second_family import figures, load, load_model, rows, successes
from tests.larimar.conftest import export_untrained

CASES = [
    {
        "case_id": n,
        "requested_rewrite": {
            "prompt": "The mayor of {} is", "subject": town, "target_new": {"str": new},
            "target_true": {"str": "Cher"},
        },
        "paraphrase_prompts": [f"{town} has a mayor:"],
        "neighborhood_prompts": [f"The river {river} flows", f"The river {river} is"],
    }
    for n, (town, new, river) in enumerate([("Bern", "Gore", "Aare"), ("Graz", "Tours", "Drau")])
]  # fmt: skip


def test_figures_of_a_toy_decoder(tmp_path: Path) -> None:
    (tmp_path / "cases.json").write_text(json.dumps(CASES))
    records = load(tmp_path / "cases.json", 2)
    model = load_model("none, for there is a checkpoint", export_untrained(tmp_path / "checkpoint"))
    measured = figures(model, records)
    assert measured["recall"] == 1.0
    assert measured["identical_out_of_scope"] == measured["asked_out_of_scope"] > 0
    assert [row.name for row in rows(measured)][1:4] == [f"{k}, S in %" for k in measured["success"]]


class Always:
    """A scorer that likes one answer."""

    def __init__(self, liked: str) -> None:
        self.liked = liked

    def score(self, prompts: list[str], targets: list[str]) -> list[float]:
        return [0.0 if target == self.liked else -1.0 for target in targets]


@pytest.mark.parametrize(("kind", "right"), [("edit", [True]), ("neighbourhood", [False, False])])
def test_success_is_the_new_answer_except_in_the_neighbourhood(
    kind: str, right: list[bool], tmp_path: Path
) -> None:
    (tmp_path / "cases.json").write_text(json.dumps(CASES))
    record = load(tmp_path / "cases.json", 1)[0]
    assert successes(Always("Gore"), record, kind) == right
    assert successes(Always("Cher"), record, kind) == [not one for one in right]
