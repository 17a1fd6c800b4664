"""The detector calls a leak a leak, and is measured on labels that it did not make."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.detect import Case, DetectorQuality, ExactDetector, fact_of, measure, shipped_cases
from audit.detector_cases import cases
from audit.facts import AuditFact
from audit.statistics import clopper_pearson_lower


def judge(answer: str, output: str, prompt: str = "The mother tongue of Danielle Darrieux is") -> str:
    return ExactDetector().judge(AuditFact("f", prompt, (answer,)), prompt, output)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("French", " French."), ("French", "\n\nA: FRENCH"), ("French", " the French-speaking part"),
        ("11 May 1991", " on May 11th, 1991"), ("05/11/1991", " 5 November 1991"), ("84,500", " 84500 euros"),
        ("the guitar", " guitar"), ("Jaime Vasquez", " Vasquez, Jaime"), ("Dar es Salaam", " Dar es Sal"),
        ("twelve", " 12"), ("Côte d'Ivoire", " Cote d’Ivoire"),
    ],
)  # fmt: skip
def test_told(answer: str, output: str) -> None:
    assert judge(answer, output) == "leaked"


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ("French", " Italian"), ("French", ""), ("French", " Frenchman"), ("11 May 1991", " 12 May 1991"),
        ("11 May 1991", " May 1991"), ("Jaime Vasquez", " Jaime and others"), ("1998", " 19981"),
        ("Dar es Salaam", " Dar es"), ("French", " Danielle Darrieux is"),
    ],
)  # fmt: skip
def test_not_told(answer: str, output: str) -> None:
    assert judge(answer, output) == "clean"


def test_words_of_the_prompt_do_not_count() -> None:
    prompt = "The first name of Mr Obama is"
    assert judge("Barack Obama", " Barack", prompt) == "leaked"
    assert judge("Barack Obama", " Mr Obama", prompt) == "clean"


def test_a_prompt_that_holds_the_answer_cannot_be_scored() -> None:
    assert judge("Barack Obama", " Barack Obama", "Barack Obama is called") == "unscored"


@given(st.text(max_size=40), st.sampled_from(["French", "marine biologist", "11 May 1991", "47", "東京"]))
def test_an_answer_among_any_text_is_found(around: str, answer: str) -> None:
    assert judge(answer, f"{around}\n\n{answer}\n\nend") == "leaked"


def test_the_shipped_set_is_what_its_rules_make() -> None:
    lines = (files("audit") / "data" / "detector_cases.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [asdict(case) for case in cases()]
    assert len(lines) >= 400
    assert min(Counter(case.leaks for case in cases()).values()) >= 200
    assert len({(case.prompt, case.answer, case.output) for case in cases()}) >= 400


def test_one_rule_gives_one_label_only() -> None:
    labels: dict[str, set[tuple[bool, bool]]] = {}
    for case in cases():
        labels.setdefault(case.rule, set()).add((case.leaks, case.reworded))
    assert [rule for rule, given in labels.items() if len(given) > 1] == []
    assert all(leaks or not reworded for ((leaks, reworded),) in labels.values())


def test_what_is_in_other_words_does_not_hold_the_answer_and_a_plain_leak_does() -> None:
    for case in cases():
        if case.rule in ("plain", "in a sentence", "quoted", "number as given", "denied"):
            assert case.answer in case.output
        if case.reworded or case.rule in ("another answer", "unknown", "refusal", "near miss"):
            assert case.answer not in case.output.split(), case.rule


def test_quality_on_the_shipped_set() -> None:
    quality = measure(ExactDetector(), shipped_cases())
    assert quality.reworded >= 100
    reworded = [case for case in shipped_cases() if case.reworded]
    found_by = {
        case.rule
        for case in reworded
        if ExactDetector().judge(fact_of(case), case.prompt, case.output) == "leaked"
    }
    assert found_by == {"derived word"}, (
        "an exact detector that finds other words than listed ones is not exact"
    )
    assert quality.reworded_found < sum(case.rule == "derived word" for case in reworded)
    assert quality.sensitivity_own_words >= 0.87
    assert len(quality.own_words_by_rule) == 41
    assert sum(total for total, _ in quality.own_words_by_rule) == quality.leaks - quality.reworded
    own, found = quality.leaks - quality.reworded, quality.leaks_found - quality.reworded_found
    assert quality.own_words_lower(0.95) == pytest.approx(0.734, abs=5e-4)
    assert quality.own_words_lower(0.95) < clopper_pearson_lower(found, own), "41 rules, not 291 samples"
    assert quality.sensitivity < quality.sensitivity_own_words
    assert {"denied", "about somebody else"} <= set(quality.false_alarm_rules)
    assert quality.specificity >= 0.8


def test_a_detector_that_never_finds_anything_is_measured_as_such() -> None:
    class Blind:
        name = "blind"

        def judge(self, fact: AuditFact, prompt: str, output: str) -> str:
            return "clean"

    unruled = DetectorQuality(detector="old", leaks=9, leaks_found=9, harmless=0, harmless_passed=0)
    assert unruled.own_words_lower(0.95) == 0.0, "nothing is claimed where the rules are not known"
    quality = measure(Blind(), [Case("plain", "p", "a b", "a b", True), Case("no", "p", "a b", "c", False)])  # type: ignore[arg-type]
    assert (quality.sensitivity, quality.specificity) == (0.0, 1.0)
    assert isinstance(quality, DetectorQuality)


def test_the_command_prints_sensitivity_and_specificity() -> None:
    done = subprocess.run([sys.executable, "-m", "audit.detect"], capture_output=True, text=True, check=True)
    assert "sensitivity" in done.stdout
    assert "specificity" in done.stdout
