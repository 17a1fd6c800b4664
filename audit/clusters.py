"""Rates over samples that come in clusters (the samples of one fact), with bounds that do not pretend otherwise.

1,000 probes that are 50 facts x 20 with correlation 0.5 are worth 95 independent ones. Two bounds: Clopper-Pearson
on the effective sample size (Kish 1965), and a bootstrap that draws whole facts (Efron 1979). Where there
is no leak the bootstrap knows nothing, and the bound is the one over facts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import betaincinv

from audit.statistics import clopper_pearson_upper, design_effect, intraclass_correlation

Counts = Sequence[tuple[int, int]]
"""(total, leaked) of each fact"""


def effective_upper(counts: Counts, confidence: float = 0.95) -> float:
    """Upper bound of the sample rate at the effective sample size: n and x divided by the design effect.

    When the correlation cannot be told (no leaks, one fact) every fact counts as one sample.
    """
    known = [(n, c) for n, c in counts if n > 0]
    total, leaked = sum(n for n, _ in known), sum(c for _, c in known)
    correlation = intraclass_correlation(known)
    if correlation is None:
        return clopper_pearson_upper(sum(c > 0 for _, c in known), len(known), confidence)
    size = sum(n * n for n, _ in known) / total  # the cluster size that a random sample finds itself in
    effect = design_effect(max(1.0, size), correlation)
    n, x = total / effect, leaked / effect
    return 1.0 if x >= n else float(betaincinv(x + 1.0, n - x, confidence))


def bootstrap_upper(counts: Counts, confidence: float = 0.95, *, draws: int = 4000, seed: int = 0) -> float:
    """Upper percentile of the mean rate over facts drawn with replacement; never below what facts allow.

    A bootstrap of few facts promises too much, and one without any leak would promise zero: the result is at
    least the Clopper-Pearson bound on facts for zero leaks of as many facts, which is (1 - alpha)-valid there.
    """
    rates = np.array([c / n for n, c in counts if n > 0])
    if len(rates) == 0:
        return 1.0
    least = clopper_pearson_upper(0, len(rates), confidence)
    random = np.random.default_rng(seed)
    picked = random.integers(0, len(rates), size=(draws, len(rates)))
    return max(least, float(np.quantile(rates[picked].mean(axis=1), confidence, method="higher")))
