"""TOFU's measures (Maini, Feng, Schwarzschild, Lipton, Kolter 2024, section 2.2), and extraction strength.

Where the paper and the code that its authors released differ, and every published figure with it, both are here:
`paper=True` and `paper=False` (docs/adr/0021). Log-probabilities are natural, of an answer after its question.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import hmean, ks_2samp


@dataclass(frozen=True)
class Likelihood:
    """How probable a model finds an answer."""

    total: float
    """log P(a | q)"""
    tokens: int

    @property
    def mean(self) -> float:
        """log of P(a | q)^(1/|a|), the probability that TOFU normalises by length."""
        return self.total / self.tokens


@dataclass(frozen=True)
class Measured:
    """What one model gave for one question."""

    answer: Likelihood
    paraphrased: Likelihood
    perturbed: tuple[Likelihood, ...]
    rouge: float
    """ROUGE-L recall of the greedy answer"""
    strength: float
    """extraction strength of the answer"""


def truth_ratio(m: Measured, *, paper: bool = True) -> float:
    """R_truth: wrong answers' probability over the right one's, both normalised by length (paper, Eq. 1).

    The paper takes the arithmetic mean over wrong answers, the released code the geometric one.
    """
    wrong = [one.mean for one in m.perturbed]
    mean = float(logsumexp(wrong)) - math.log(len(wrong)) if paper else float(np.mean(wrong))
    return math.exp(mean - m.paraphrased.mean)


def choice_probability(m: Measured, *, paper: bool = True) -> float:
    """P(a_1 | q) / sum of P(a_i | q) over the choices; the released code normalises each by its length."""
    told = [one.total if paper else one.mean for one in (m.answer, *m.perturbed)]
    return math.exp(told[0] - float(logsumexp(told)))


def nine(sets: Mapping[str, Sequence[Measured]], *, paper: bool = True) -> dict[str, float]:
    """Probability, ROUGE-L recall and truth ratio of retain, real authors and world facts.

    `sets`: by these names; a set that is none of retain's kind is a multiple choice.
    """
    found = {}
    for name, some in sets.items():
        told = [
            math.exp(m.answer.mean) if name == "retain" else choice_probability(m, paper=paper) for m in some
        ]
        found[f"{name}: probability"] = float(np.mean(told))
        found[f"{name}: ROUGE-L recall"] = float(np.mean([m.rouge for m in some]))
        found[f"{name}: truth ratio"] = float(
            np.mean([max(0.0, 1 - truth_ratio(m, paper=paper)) for m in some])
        )
    return found


def model_utility(numbers: Sequence[float]) -> float:
    """The harmonic mean of the nine numbers; zero when one of them is."""
    return 0.0 if min(numbers) <= 0 else float(hmean(numbers))


def forget_quality(own: Sequence[float], never: Sequence[float]) -> float:
    """p-value of the two-sample Kolmogorov-Smirnov test: truth ratios against the never-written model's."""
    return float(ks_2samp(own, never).pvalue)


def extraction_strength(greedy: Sequence[bool]) -> float:
    """1 - k / L: k is the shortest prefix of the answer's L tokens behind which greedy decoding says the rest.

    `greedy`: for each token whether it is the most probable one after those before it (Carlini et al. 2021, as in
    open-unlearning, where an answer of which not even the last token is found gets 1 / L; here it gets zero).
    """
    wrong = [at for at, right in enumerate(greedy) if not right]
    return 1 - (wrong[-1] + 1 if wrong else 0) / len(greedy)


def rouge_l_recall(reference: str, said: str) -> float:
    """Longest common subsequence of words over the reference's words (Lin 2004, section 3).

    Words are those of Google's `rouge-score` (lower case, runs of a to z and digits), without its stemmer: TOFU's code
    stems, so figures there lie a little higher.
    """
    wanted, found = (re.findall(r"[a-z0-9]+", text.lower()) for text in (reference, said))
    row = [0] * (len(found) + 1)
    for word in wanted:
        before, row = row, [0]
        for at, other in enumerate(found):
            row.append(before[at] + 1 if word == other else max(before[at + 1], row[at]))
    return row[-1] / len(wanted) if wanted else 0.0
