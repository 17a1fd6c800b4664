"""The leak / over-blocking curve: what the scope detector lets through and what it silences as its threshold moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from larimar import Larimar

THRESHOLDS = (0.0001, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)
Asked = Sequence[Sequence[tuple[float, bool]]]
"""of each fact, each prompt: the detector's probability that it is in scope, and whether the base decoder tells"""


def points(asked: Asked, others: Sequence[float]) -> list[tuple[float, float, float]]:
    """Threshold, facts leaked through prompts out of scope, other prompts in scope (both in per cent)."""
    inside = np.array(others)
    return [
        (
            threshold,
            _percent([any(told and chance < threshold for chance, told in each) for each in asked]),
            _percent(inside >= threshold),
        )
        for threshold in THRESHOLDS
    ]


def _percent(yes: Sequence[bool] | np.ndarray) -> float:
    """Share of yes, 0 of none."""
    return round(100 * float(np.mean(yes)), 2) if len(yes) else 0.0


def chances(model: Larimar, prompts: Sequence[str]) -> list[float]:
    """The highest probability of any fact of the bank, for each prompt."""
    hits = model.weights.detector.scores(prompts, model.bank.index)
    return [max((hit.probability for hit in each), default=0.0) for each in hits]
