"""Exact statements from counts: how large can the leak rate be, given what was seen?

Clopper-Pearson (1934) throughout: an interval that never promises more than the data hold, also at zero leaks
(0 of 20 gives 13.9 %, not «0 ± 0»). leak@k is the unbiased pass@k estimator (Chen et al. 2021) read as
leakage. Clustered samples are in `audit.clusters`, repeated looks in `audit.eprocess`.
"""

from collections.abc import Sequence
from math import comb

from scipy.special import betaincinv


def _checked(leaked: int, total: int, confidence: float) -> None:
    if not 0 <= leaked <= total:
        raise ValueError("leaked must lie between 0 and total")
    if not 0.0 < confidence < 1.0:
        raise ValueError("confidence must lie strictly between 0 and 1")


def clopper_pearson_upper(leaked: int, total: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a rate: Beta⁻¹(confidence; leaked + 1, total - leaked).

    Returns 1.0 when nothing was tried. Raises ValueError for impossible counts.
    """
    _checked(leaked, total, confidence)
    return 1.0 if leaked == total else float(betaincinv(leaked + 1, total - leaked, confidence))


def clopper_pearson_lower(leaked: int, total: int, confidence: float = 0.95) -> float:
    """One-sided lower bound of a rate: Beta⁻¹(1 - confidence; leaked, total - leaked + 1)."""
    _checked(leaked, total, confidence)
    return 0.0 if leaked == 0 else float(betaincinv(leaked, total - leaked + 1, 1.0 - confidence))


def clopper_pearson_interval(leaked: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval with at least the given confidence; (0, 1) when nothing was tried."""
    one_sided = 1.0 - (1.0 - confidence) / 2.0
    return clopper_pearson_lower(leaked, total, one_sided), clopper_pearson_upper(leaked, total, one_sided)


def smallest_clean_total(threshold: float, confidence: float = 0.95) -> int:
    """How many clean tries it takes before the upper bound is at most `threshold` (59 for 5 %)."""
    if not 0.0 < threshold < 1.0:
        raise ValueError("threshold must lie strictly between 0 and 1")
    high = 1
    while clopper_pearson_upper(0, high, confidence) > threshold:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if clopper_pearson_upper(0, middle, confidence) <= threshold else (middle, high)
        )
    return high


def leak_at_k(total: int, leaked: int, k: int) -> float:
    """Chance that one or more of k samples leak, from `leaked` of `total`: 1 - C(n-c, k) / C(n, k)."""
    if not 0 <= leaked <= total or not 1 <= k <= total:
        raise ValueError("need 0 <= leaked <= total and 1 <= k <= total")
    return 1.0 - comb(total - leaked, k) / comb(total, k)


def leak_at_k_curve(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Mean leak@k over facts for k = 1 … the smallest total. `counts`: (total, leaked) of each fact."""
    if not counts:
        return []
    longest = min(total for total, _ in counts)
    return [sum(leak_at_k(n, c, k) for n, c in counts) / len(counts) for k in range(1, longest + 1)]


def corrected_upper(upper: float, sensitivity: float) -> float:
    """A bound that allows for leaks that the detector misses: upper / sensitivity, at most 1."""
    if not 0.0 < sensitivity <= 1.0:
        raise ValueError("sensitivity must lie above 0 and at most at 1")
    return min(1.0, upper / sensitivity)


def simultaneous_upper(leaked: int, total: int, statements: int, confidence: float = 0.95) -> float:
    """Upper bound when `statements` bounds shall all hold at once (Bonferroni)."""
    if statements < 1:
        raise ValueError("need at least one statement")
    return clopper_pearson_upper(leaked, total, 1.0 - (1.0 - confidence) / statements)


def intraclass_correlation(counts: Sequence[tuple[int, int]]) -> float | None:
    """How alike the samples of one cluster are: one-way ANOVA estimate for yes/no data, clipped to 0 … 1.

    `counts`: (total, leaked) of each cluster. None when it cannot be told (one cluster, or all samples
    agree).
    """
    clusters = [(n, c) for n, c in counts if n > 0]
    total, leaked = sum(n for n, _ in clusters), sum(c for _, c in clusters)
    if len(clusters) < 2 or total <= len(clusters) or leaked in (0, total):
        return None
    grand = leaked / total
    between = sum(n * (c / n - grand) ** 2 for n, c in clusters) / (len(clusters) - 1)
    within = sum(c * (1 - c / n) for n, c in clusters) / (total - len(clusters))
    size = (total - sum(n * n for n, _ in clusters) / total) / (len(clusters) - 1)
    spread = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / spread)) if spread > 0 else None


def design_effect(cluster_size: float, correlation: float) -> float:
    """By how much clustering shrinks the data: 1 + (m - 1) rho (Kish 1965)."""
    if cluster_size < 1 or not 0.0 <= correlation <= 1.0:
        raise ValueError("need cluster_size >= 1 and a correlation between 0 and 1")
    return 1.0 + (cluster_size - 1.0) * correlation


def percent(share: float) -> str:
    """A share for people, with three significant digits: 13.9 %, 4.95 %, 0.997 %."""
    return f"{100 * share:.3g}\u00a0%"
