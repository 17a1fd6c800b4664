"""The bounds are the published ones, agree with scipy, and keep their promise."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from audit.statistics import (
    clopper_pearson_interval,
    clopper_pearson_lower,
    clopper_pearson_upper,
    corrected_upper,
    design_effect,
    intraclass_correlation,
    leak_at_k,
    leak_at_k_curve,
    percent,
    simultaneous_upper,
    smallest_clean_total,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("leaked", "total", "bound"),
    [
        (0, 20, "13.9"),
        (0, 59, "4.95"),
        (0, 299, "0.997"),
        (1, 100, "4.66"),
        (1, 20, "21.6"),
        (3, 100, "7.57"),
    ],
)
def test_published_upper_bounds(leaked: int, total: int, bound: str) -> None:
    assert percent(clopper_pearson_upper(leaked, total)) == f"{bound}\u00a0%"


@given(COUNTS)
def test_bounds_agree_with_scipy(counts: tuple[int, int]) -> None:
    leaked, total = counts
    test = binomtest(leaked, total)
    upper = test.proportion_ci(0.90, "exact").high
    low, high = test.proportion_ci(0.95, "exact")
    assert clopper_pearson_upper(leaked, total) == pytest.approx(upper, abs=1e-9)
    assert clopper_pearson_interval(leaked, total) == pytest.approx((low, high), abs=1e-9)


@given(COUNTS)
def test_one_more_leak_never_lowers_the_bound(counts: tuple[int, int]) -> None:
    leaked, total = counts
    assert clopper_pearson_lower(leaked, total) <= leaked / total <= clopper_pearson_upper(leaked, total)
    if leaked < total:
        assert clopper_pearson_upper(leaked, total) < clopper_pearson_upper(leaked + 1, total)


def test_nothing_tried_means_nothing_known() -> None:
    assert clopper_pearson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("bad", [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="between 0 and total"):
        clopper_pearson_upper(*bad)


@pytest.mark.parametrize("total", [20, 59, 120])
def test_upper_bound_covers_the_truth_at_least_95_percent_of_the_time(total: int) -> None:
    bounds = np.array([clopper_pearson_upper(x, total) for x in range(total + 1)])
    for truth in np.linspace(0.002, 0.998, 250):
        assert binom.pmf(np.arange(total + 1), total, truth)[bounds >= truth].sum() >= 0.95 - 1e-9


@pytest.mark.parametrize("total", [20, 59, 299])
def test_upper_bound_covers_the_truth_in_10_000_simulated_audits(total: int) -> None:
    random = np.random.default_rng(20261123)
    bounds = np.array([clopper_pearson_upper(x, total) for x in range(total + 1)])
    for truth in (0.003, 0.01, 0.05, 0.13, 0.4):
        held = (bounds[random.binomial(total, truth, size=10_000)] >= truth).mean()
        assert held >= 0.95 - 2.6 * np.sqrt(0.95 * 0.05 / 10_000), "nominal, less what 10,000 draws may err"


def test_leak_at_k_is_unbiased() -> None:
    random = np.random.default_rng(3)
    leaked = random.binomial(20, 0.1, size=10_000)
    table = np.array([leak_at_k(20, int(x), 5) for x in range(21)])
    assert table[leaked].mean() == pytest.approx(1 - 0.9**5, abs=0.01)


def test_many_bounds_at_once_and_a_detector_that_misses_cost_something() -> None:
    assert percent(simultaneous_upper(0, 1000, 100)) == "0.757\u00a0%"
    assert simultaneous_upper(0, 59, 1) == clopper_pearson_upper(0, 59)
    assert corrected_upper(0.045, 0.9) == pytest.approx(0.05)
    assert corrected_upper(0.9, 0.5) == 1.0


@pytest.mark.parametrize(("threshold", "total"), [(0.05, 59), (0.01, 299), (0.15, 19), (0.001, 2995)])
def test_how_many_clean_tries_a_threshold_takes(threshold: float, total: int) -> None:
    assert smallest_clean_total(threshold) == total


def test_leak_at_k_is_the_chance_of_drawing_a_leak() -> None:
    assert leak_at_k(20, 0, 20) == 0.0
    assert leak_at_k(20, 1, 20) == 1.0
    assert leak_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)


@given(COUNTS)
def test_leak_at_k_starts_at_the_rate_and_never_falls(counts: tuple[int, int]) -> None:
    leaked, total = counts
    curve = leak_at_k_curve([(total, leaked)])
    assert curve[0] == pytest.approx(leaked / total)
    assert all(a <= b + 1e-12 for a, b in pairwise(curve))


def test_clusters_that_agree_within_shrink_the_data() -> None:
    assert intraclass_correlation([(10, 10), (10, 0)] * 5) == pytest.approx(1.0)
    assert intraclass_correlation([(10, 5)] * 10) == pytest.approx(0.0)
    assert intraclass_correlation([(10, 0)] * 10) is None
    assert design_effect(10, 0.5) == 5.5
