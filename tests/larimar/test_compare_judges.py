"""Choosing between judges: held-out pairs only, and rates that follow from the scores."""

import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from larimar import compare_judges
from larimar.compare_judges import equal_error_rate, held_out_pairs, rates, table
from larimar.relations import Relation, held_out


def relations() -> dict[str, Relation]:
    """Two relations that are held out and ask for different things, and one that templates confuse with the first."""
    made = {}
    for key, what in (("personal-weight", "weight"), ("personal-landlord", "landlord"), ("P9", "height")):
        same = [f"what is the {what} of {{}}?", f"{{}}'s {what} is"]
        made[key] = Relation(key, [*same], [same], wordings=same, near=[f"who asked for the {what} of {{}}?"])
    for key in ("personal-weight", "P9"):
        made[key].phrasings.append("how much of {}?")
    return made


def test_equal_error_rate_is_zero_apart_half_when_mixed_and_counts_one_swap() -> None:
    labels = np.array([True] * 4 + [False] * 4)
    assert equal_error_rate(labels, np.array([5.0, 6, 7, 8, 1, 2, 3, 4])) == 0.0
    assert equal_error_rate(labels, np.array([4.0, 6, 7, 8, 1, 2, 3, 5])) == 25.0


def test_stored_prompts_are_of_held_out_relations_and_every_kind_is_what_it_says() -> None:
    given = relations()
    held = held_out(given)
    assert {"personal-weight", "personal-landlord"} <= held
    made = held_out_pairs(given, 30, random.Random(1))["private"]
    stored = {a for kind in made.values() for a, _ in kind}
    assert stored <= {p.replace("{}", "X") for key in held for p in given[key].phrasings}
    assert all("asked" in query for _, query in made["near misses"])
    assert all("height" in query for _, query in made["told apart"])
    assert all(stored != query for kind in made.values() for stored, query in kind)


def test_a_judge_that_sees_what_is_asked_errs_less_than_one_that_does_not() -> None:
    pairs = {"private": held_out_pairs(relations(), 30, random.Random(1))["private"]}

    def of(words: tuple[str, ...], text: str) -> str:
        return next((w for w in words if w in text), "")

    def logits(texts: list[tuple[str, str]]) -> np.ndarray:
        words = ("asked", "weight", "landlord", "height")
        return np.array([float(of(words, a) in ("", of(words, b))) for a, b in texts])

    seeing = rates(SimpleNamespace(logits=logits), pairs)  # type: ignore[arg-type]
    blind = rates(SimpleNamespace(logits=lambda t: np.zeros(len(t))), pairs)  # type: ignore[arg-type]
    assert set(seeing) == {"private: near misses", "private: other relations", "private: told apart"}
    assert all(seeing[kind] < 20 and blind[kind] == 50 for kind in seeing)
    assert table({"a": seeing, "b": blind}).count("\n") == 3


def test_a_file_that_is_no_judge_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "templates.json").write_text(json.dumps([]))
    (tmp_path / "broken").write_bytes(b"half")
    given = [str(tmp_path / "broken"), "--templates", str(tmp_path / "templates.json"), "--each", "1"]
    monkeypatch.setattr("sys.argv", ["compare_judges", *given])
    with pytest.raises(SystemExit, match="broken is not a readable judge"):
        compare_judges.main()
