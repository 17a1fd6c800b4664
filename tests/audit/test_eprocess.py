"""The bound that holds at every look: it holds at every look, also for who stops when it suits them."""

import numpy as np
import pytest
from scipy.integrate import quad

from audit.eprocess import anytime_upper, log_wealth
from audit.statistics import clopper_pearson_upper


def test_the_wealth_is_the_mixture_of_likelihood_ratios() -> None:
    for leaked, total, rate in [(0, 30, 0.1), (2, 50, 0.2), (7, 20, 0.5)]:

        def ratio(q: float, x: int = leaked, n: int = total, p: float = rate) -> float:
            return (q / p) ** x * ((1 - q) / (1 - p)) ** (n - x)

        spread = quad(ratio, 0, rate)[0] / rate
        none = ratio(0.0) if leaked == 0 else 0.0
        assert np.exp(log_wealth(leaked, total, rate)) == pytest.approx((none + spread) / 2, rel=1e-6)


def test_its_expectation_never_grows_when_the_rate_is_at_least_the_limit() -> None:
    total = 40
    for rate in (0.05, 0.3):
        for truth in (rate, min(0.99, rate * 1.7)):
            from scipy.stats import binom

            x = np.arange(total + 1)
            assert binom.pmf(x, total, truth) @ np.exp(log_wealth(x, total, rate)) <= 1.0 + 1e-9


def test_looking_at_every_sample_of_10_000_audits_still_errs_in_five_percent_at_most() -> None:
    random = np.random.default_rng(11)
    limit, length = 0.05, 400
    alive = np.zeros(10_000, dtype=bool)
    leaked = np.zeros(10_000)
    for total in range(1, length + 1):
        leaked += random.random(10_000) < limit
        table = log_wealth(np.arange(total + 1), total, limit)
        alive |= table[leaked.astype(int)] >= np.log(20)
    assert alive.mean() <= 0.05


def test_a_fixed_bound_would_err_far_more_often_when_looked_at_daily() -> None:
    random = np.random.default_rng(12)
    drawn = np.cumsum(random.random((2000, 400)) < 0.05, axis=1)
    fooled = np.zeros(2000, dtype=bool)
    for total in range(20, 401, 20):
        bounds = np.array([clopper_pearson_upper(x, total) for x in range(total + 1)])
        fooled |= bounds[drawn[:, total - 1]] < 0.05
    assert fooled.mean() > 0.10


@pytest.mark.parametrize(("leaked", "total"), [(0, 20), (0, 300), (3, 100), (20, 20), (1, 2)])
def test_it_costs_something_but_never_too_much(leaked: int, total: int) -> None:
    fixed, any_time = clopper_pearson_upper(leaked, total), anytime_upper(leaked, total)
    assert fixed <= any_time <= min(1.0, 1.6 * fixed + 0.05)


def test_nothing_tried_and_impossible_counts() -> None:
    assert anytime_upper(0, 0) == 1.0
    with pytest.raises(ValueError, match="between 0 and total"):
        anytime_upper(3, 2)
    with pytest.raises(ValueError, match="rate"):
        log_wealth(0, 5, 1.0)
