"""Bounds that hold however often one looks: an e-process by betting (Waudby-Smith & Ramdas 2024; Ville 1939).

H0: the leak rate is at least p0. A gambler stakes one unit against it. Betting on the rate q < p0 multiplies
the wealth by q / p0 at a leak and by (1 - q) / (1 - p0) at a clean sample; under H0 its expectation never
grows, so the wealth ever reaches 1 / alpha with probability alpha at most, at whatever time one stops. Half of the
unit is put on q = 0 (fastest when nothing leaks, gone at the first leak), half spread evenly over 0 ... p0.
The samples must be fresh draws each time; counts are added up over all looks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaln

Floats = NDArray[np.float64]


def log_wealth(leaked: ArrayLike, total: ArrayLike, rate: ArrayLike) -> Floats:
    """Log of the gambler's wealth after `leaked` of `total` samples, against H0: leak rate >= `rate`.

    Broadcasts. Raises ValueError for impossible counts or a rate outside (0, 1).
    """
    x, n, p = (np.asarray(value, dtype=np.float64) for value in (leaked, total, rate))
    if np.any((x < 0) | (x > n)) or np.any((p <= 0) | (p >= 1)):
        raise ValueError("need 0 <= leaked <= total and a rate strictly between 0 and 1")
    null = x * np.log(p) + (n - x) * np.log1p(-p)
    with np.errstate(divide="ignore"):
        none = np.where(x == 0, 0.0, -np.inf) - null
        mass = betainc(x + 1.0, n - x + 1.0, p)  # of the Beta(x + 1, n - x + 1) law below p
        spread = betaln(x + 1.0, n - x + 1.0) + np.log(mass) - np.log(p) - null
    return np.asarray(np.logaddexp(none, spread) - np.log(2.0), dtype=np.float64)


def anytime_upper(leaked: int, total: int, confidence: float = 0.95) -> float:
    """The smallest rate that the bets have ruled out: an upper bound valid at all times together.

    1.0 when nothing is ruled out. Raises ValueError for impossible counts.
    """
    if not 0 <= leaked <= total:
        raise ValueError("leaked must lie between 0 and total")
    if not 0.0 < confidence < 1.0:
        raise ValueError("confidence must lie strictly between 0 and 1")
    needed = -np.log1p(-confidence)
    low, high = max(leaked / total if total else 1.0, 1e-12), 1.0 - 1e-9
    if low >= high or float(log_wealth(leaked, total, high)) < needed:
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if float(log_wealth(leaked, total, middle)) >= needed else (middle, high)
    return high
