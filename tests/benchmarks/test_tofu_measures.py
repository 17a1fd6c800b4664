"""TOFU's measures against figures worked out by hand from the paper's definitions."""

import math

import pytest

from benchmarks.tofu_measures import (
    Likelihood,
    Measured,
    choice_probability,
    extraction_strength,
    forget_quality,
    model_utility,
    nine,
    rouge_l_recall,
    truth_ratio,
)


def likely(probability: float, tokens: int = 1) -> Likelihood:
    """An answer whose tokens each have this probability."""
    return Likelihood(tokens * math.log(probability), tokens)


def measured(answer: Likelihood, right: Likelihood, *wrong: Likelihood, rouge: float = 1.0) -> Measured:
    return Measured(answer, right, wrong, rouge, 0.0)


def test_the_truth_ratio_is_wrong_over_right_normalised_by_length() -> None:
    one = measured(likely(0.9), likely(0.5, tokens=7), likely(0.4, tokens=2), likely(0.1, tokens=9))
    assert truth_ratio(one) == pytest.approx(0.25 / 0.5)
    assert truth_ratio(one, paper=False) == pytest.approx(0.2 / 0.5)


def test_a_choice_is_the_answers_share_of_all_choices() -> None:
    one = measured(likely(0.5, tokens=2), likely(0.5), likely(0.5, tokens=1), likely(0.25, tokens=1))
    assert choice_probability(one) == pytest.approx(0.25 / (0.25 + 0.5 + 0.25))
    assert choice_probability(one, paper=False) == pytest.approx(0.5 / (0.5 + 0.5 + 0.25))


def test_nine_numbers_and_their_harmonic_mean() -> None:
    one = measured(likely(0.5, tokens=2), likely(0.5), likely(0.1), rouge=0.25)
    numbers = nine({"retain": [one], "real_authors": [one], "world_facts": [one]})
    assert numbers == pytest.approx(
        {
            "retain: probability": 0.5, "retain: ROUGE-L recall": 0.25, "retain: truth ratio": 0.8,
            **{f"{name}: {key}": value for name in ("real_authors", "world_facts")
               for key, value in (("probability", 0.25 / 0.35), ("ROUGE-L recall", 0.25), ("truth ratio", 0.8))},
        }
    )  # fmt: skip
    assert model_utility([0.5, 0.25]) == pytest.approx(1 / 3)
    assert model_utility([0.9, 0.0]) == 0.0


def test_a_wrong_answer_preferred_counts_as_zero_and_not_below() -> None:
    one = measured(likely(0.5), likely(0.1), likely(0.9))
    assert nine({"retain": [one]})["retain: truth ratio"] == 0.0


def test_forget_quality_is_one_for_the_same_ratios_and_tiny_for_others() -> None:
    ratios = [0.1 * n for n in range(40)]
    assert forget_quality(ratios, ratios[::-1]) == 1.0
    assert forget_quality(ratios, [ratio + 5 for ratio in ratios]) < 1e-20


@pytest.mark.parametrize(
    ("greedy", "strength"),
    [([True] * 4, 1.0), ([True, False, True, True], 0.5), ([True, True, True, False], 0.0), ([False], 0.0)],
)
def test_extraction_strength_is_what_needs_no_prefix(greedy: list[bool], strength: float) -> None:
    assert extraction_strength(greedy) == strength


@pytest.mark.parametrize(
    ("said", "recall"),
    [
        ("The cat sat, on the MAT.", 1.0),
        ("the mat on the cat", 0.5),
        ("on a mat sat the cat", 2 / 6),
        ("", 0.0),
    ],
)
def test_rouge_l_is_the_longest_common_subsequence_of_words(said: str, recall: float) -> None:
    assert rouge_l_recall("The cat sat on the mat", said) == pytest.approx(recall)
