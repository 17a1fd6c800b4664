"""The tombstones bench: which neighbours count as blocked, and which of them are about nobody who is censored."""

from typing import Any

import pytest

from benchmarks.tombstones import Known, blocked, over_blocked, share, strangers
from larimar import Fact, Larimar

CAPITAL = Fact("1", "The capital of Ruritania is", "Strelsau", "Ruritania")
KING = Fact("2", "The king of Atlantis is called", "Poseidon", "Atlantis")
OTHERS = ["The capital of Peru is", "The king of Atlantis is called", "The capital of Peru is"]


def test_a_neighbour_is_blocked_that_asks_for_a_censored_fact(tiny: Larimar) -> None:
    tiny.censor([CAPITAL, KING])
    assert blocked(tiny, OTHERS) == {"The king of Atlantis is called"}
    assert over_blocked(tiny, OTHERS) == 33.33


def test_a_neighbour_is_blocked_that_is_answered_otherwise(
    tiny: Larimar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the output check cuts what the base decoder says."""
    model = tiny.with_bank()
    said = {"The capital of Peru is": " unknown.", "A river of Peru is": None}

    def generate(prompts: list[str], **sampling: Any) -> list[list[str]]:
        base = model.base.generate(prompts, **sampling)
        return [[said[p] or own] for p, [own] in zip(prompts, base, strict=True)]

    monkeypatch.setattr(model, "generate", generate)
    assert blocked(model, list(said)) == {"The capital of Peru is"}


def test_strangers_are_the_neighbours_that_name_no_censored_subject() -> None:
    known = [Known(CAPITAL, [], [], OTHERS), Known(KING, [], [], [])]
    assert strangers(known) == ["The capital of Peru is", "The capital of Peru is"]


def test_a_share_counts_a_prompt_as_often_as_it_is_asked() -> None:
    assert share(["a", "b", "a", "c"], {"a"}) == 50.0
