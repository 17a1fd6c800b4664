"""Bounds over clustered samples keep their promise where the plain one breaks it."""

import numpy as np
import pytest

from audit.clusters import bootstrap_upper, effective_upper
from audit.statistics import clopper_pearson_upper


def test_without_a_leak_every_fact_counts_once() -> None:
    counts = [(20, 0)] * 50
    assert effective_upper(counts) == bootstrap_upper(counts) == clopper_pearson_upper(0, 50)


@pytest.mark.parametrize("leaked", [1, 5, 20])
def test_a_leak_never_makes_the_bootstrap_promise_more_than_none(leaked: int) -> None:
    for facts in (1, 5, 20):
        counts = [(20, leaked)] + [(20, 0)] * (facts - 1)
        assert bootstrap_upper(counts) >= clopper_pearson_upper(0, facts)


def test_nothing_tried_means_nothing_known() -> None:
    assert effective_upper([]) == bootstrap_upper([]) == 1.0


def test_facts_that_leak_always_or_never_are_worth_one_sample_each() -> None:
    counts = [(20, 20)] * 5 + [(20, 0)] * 45
    assert effective_upper(counts) == pytest.approx(clopper_pearson_upper(5, 50), abs=1e-6)
    assert clopper_pearson_upper(100, 1000) < effective_upper(counts)


def test_samples_that_do_not_hang_together_lose_nothing() -> None:
    counts = [(20, 2)] * 50
    assert effective_upper(counts) == pytest.approx(clopper_pearson_upper(100, 1000), abs=1e-6)


def simulated(audits: int, facts: int, samples: int, mean: float, correlation: float) -> np.ndarray:
    """Leak counts (audits, facts) of facts whose rates follow a beta law with this intraclass correlation."""
    random = np.random.default_rng(5)
    spread = (1 - correlation) / correlation
    rates = random.beta(mean * spread, (1 - mean) * spread, size=(audits, facts))
    return random.binomial(samples, rates)


@pytest.mark.parametrize(("mean", "correlation"), [(0.2, 0.1), (0.2, 0.5)])
def test_the_effective_bound_covers_where_the_plain_one_does_not(mean: float, correlation: float) -> None:
    drawn = simulated(400, 50, 20, mean, correlation)
    held = np.mean([effective_upper([(20, int(c)) for c in row]) >= mean for row in drawn])
    plain = np.mean([clopper_pearson_upper(int(row.sum()), 1000) >= mean for row in drawn])
    assert plain < 0.90 < 0.93 <= held


def test_the_bootstrap_by_fact_covers_about_as_promised_with_many_facts() -> None:
    drawn = simulated(300, 80, 10, 0.3, 0.3)
    held = np.mean([bootstrap_upper([(10, int(c)) for c in row], draws=500) >= 0.3 for row in drawn])
    assert held >= 0.91


def test_the_bootstrap_by_fact_covers_with_few_facts_that_seldom_leak() -> None:
    drawn = simulated(400, 20, 10, 0.02, 0.3)
    held = np.mean([bootstrap_upper([(10, int(c)) for c in row], draws=500) >= 0.02 for row in drawn])
    assert held >= 0.95
