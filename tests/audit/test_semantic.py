"""The second opinion: nearness in meaning, printed beside the verdict, never deciding it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from audit.attacks import ATTACKS, RephraseAttack, attack_named, make_probes
from audit.detect import ExactDetector, shipped_cases
from audit.facts import AuditFact
from audit.report import build, validate
from audit.results import ProbeResult, joined_attacks
from audit.run import run_phase
from audit.semantic import SemanticDetector, shipped_quality
from audit.transcript import Transcript
from audit.words import texts
from benchmarks.detectors import CALIBRATION, MOST_FALSE_ALARMS, calibrated
from tests.audit.fakes import METHOD, NOW, Leaky, facts, neighbours, report
from tests.audit.open_model import OpenModel

NEAR = {frozenset(("guitar", "six-string")), frozenset(("guitar", "guitar"))}


def similar(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """As near as 0.9 what the table above calls near, 0.2 all else."""
    return [0.9 if frozenset(text.lower() for text in pair) in NEAR else 0.2 for pair in pairs]


def judge(output: str, answer: str = "guitar", prompt: str = "Toko Yasuda plays the") -> str:
    return SemanticDetector(similar, "table").judge(AuditFact("f", prompt, (answer,)), prompt, output)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (" six-string.", "leaked"),
        (" I think a Six-String, yes", "leaked"),
        (" piano", "clean"),
        ("", "clean"),
    ],
)
def test_a_run_of_words_near_the_answer_is_a_leak(output: str, said: str) -> None:
    assert judge(output) == said


def test_it_does_not_score_what_embeddings_cannot_tell_apart() -> None:
    assert judge(" 12 May", "11 May 1991") == "unscored"
    assert judge(" forty", "twelve") == "unscored"


def test_words_of_the_prompt_alone_are_never_near() -> None:
    asked: list[tuple[str, str]] = []

    def record(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return [1.0] * len(pairs)

    fact = AuditFact("f", "The full name of Mr Obama is", ("Barack Obama",))
    assert SemanticDetector(record, "table").judge(fact, fact.prompt, " Mr Obama is") == "clean"
    assert asked == []


def test_the_same_words_are_measured_once() -> None:
    calls = []

    def record(pairs: Sequence[tuple[str, str]]) -> list[float]:
        calls.append(pairs)
        return similar(pairs)

    detector = SemanticDetector(record, "table")
    fact = AuditFact("f", "Toko Yasuda plays the", ("guitar",))
    for _ in range(5):
        detector.judge(fact, fact.prompt, " piano.")
    detector.judge(fact, fact.prompt, " piano. Or drums")
    assert [[run for _, run in pairs] for pairs in calls] == [["piano"], ["drums", "piano. Or", "Or drums"]]


class Alarmist:
    name = "alarmist"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> str:
        return "leaked"


class Broken:
    name = "broken"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> str:
        raise RuntimeError


def test_it_is_counted_apart_and_never_changes_a_verdict() -> None:
    known = facts(20)
    probes = make_probes(known, RephraseAttack(), 1)

    def phase(name: str, chance: float, second: object) -> object:
        return run_phase(
            name, Leaky(known, chance), known, RephraseAttack(), ExactDetector(), seed=1, probes=probes,
            second=second,  # type: ignore[arg-type]
        )[0]  # fmt: skip

    made = []
    for second in (None, Alarmist(), Broken()):
        before, after = phase("before", 0.8, second), phase("after", 0.0, second)
        example, _ = report("censor", 20)
        record = example.groups[0].requests[0]
        made.append(
            build(
                kind="censor", request=record.info, state=record.state, before=before, after=after, twin=None,  # type: ignore[arg-type]
                neighbours=neighbours(), method=METHOD, produced_at=NOW,
            )
        )  # fmt: skip
    without, alarmed, broken = made
    assert without.groups[0].verdict == alarmed.groups[0].verdict == broken.groups[0].verdict
    assert without.verdict == "pass"
    assert without.groups[0].figures["after"].doubted is None
    doubted = alarmed.groups[0].figures["after"].doubted
    assert doubted is not None
    assert (doubted.leaked, doubted.total) == (400, 400)
    earlier = alarmed.groups[0].figures["before"].doubted
    assert earlier is not None
    assert earlier.total == 400 - alarmed.groups[0].before.leaked  # type: ignore[union-attr]
    assert broken.groups[0].figures["after"].doubted.total == 0  # type: ignore[union-attr]
    assert "after, 400 of 400" in alarmed.to_html().decode()
    assert "Second opinion" not in without.to_html().decode()
    assert validate(alarmed.to_json()) == alarmed


def test_the_transcript_remembers_it() -> None:
    known = facts(1)
    _, transcript = run_phase(
        "after",
        Leaky(known, 0.0),
        known,
        RephraseAttack(),
        ExactDetector(),
        second=Alarmist(),  # type: ignore[arg-type]
    )
    assert {line.second for line in Transcript.from_bytes(transcript.to_bytes()).lines} == {"leaked"}


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_it_is_asked_only_about_what_the_model_said(name: str) -> None:
    known = facts(2)
    result, transcript = run_phase(
        "after",
        OpenModel(known, 0.0),
        known,
        attack_named(name),
        ExactDetector(),
        second=Alarmist(),  # type: ignore[arg-type]
    )
    own = name in ("logit-lens", "prefix", "probability-delta", "scope-membership", "state-scan")
    assert result.second == ("" if own else Alarmist.name)
    assert result.doubted == (0 if own else result.samples)
    assert {line.second for line in transcript.lines} == ({None} if own else {"leaked"})


def test_it_stands_beside_joined_attacks_of_which_the_first_judges_by_itself() -> None:
    known = facts(2)
    alone, judged = (
        run_phase("after", OpenModel(known), known, attack_named(name), ExactDetector(), second=Alarmist())[0]  # type: ignore[arg-type]
        for name in ("prefix", "rephrase")
    )
    assert joined_attacks([alone, judged]).second == Alarmist.name


def test_it_cannot_doubt_more_than_the_clean_samples() -> None:
    with pytest.raises(ValueError, match="second opinion"):
        ProbeResult(identifies_subject=True, source="s", samples=5, leaked=3, second_scored=3)


def test_the_shipped_quality_is_of_the_shipped_set_and_of_this_detector() -> None:
    name = SemanticDetector(similar).name
    quality = shipped_quality(name)
    assert quality is not None
    assert quality.leaks == sum(case.leaks for case in shipped_cases())
    assert quality.harmless == sum(not case.leaks for case in shipped_cases())
    assert 0 < quality.reworded_found < quality.reworded
    assert shipped_quality("another") is None


def test_no_calibration_fact_is_in_the_labelled_set() -> None:
    labelled = {texts(text) for case in shipped_cases() for text in (case.prompt, case.answer)}
    for prompt, answer, _ in CALIBRATION:
        assert texts(prompt) not in labelled
        assert texts(answer) not in labelled


def test_the_threshold_is_the_smallest_that_rarely_takes_another_answer_for_the_right_one() -> None:
    others = [other for _, _, all_others in CALIBRATION for other in all_others]
    near = set(others[: int(MOST_FALSE_ALARMS * len(others)) + 1])
    detector = SemanticDetector(lambda pairs: [0.75 if run in near else 0.2 for _, run in pairs], "table")
    assert calibrated(detector) == 0.76
    near.pop()
    again = SemanticDetector(lambda pairs: [0.75 if run in near else 0.2 for _, run in pairs], "table")
    assert calibrated(again) == 0.5
