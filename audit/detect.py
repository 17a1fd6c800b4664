"""Judges one output: did it tell the answer?

    python -m audit.detect            measures the detector on the shipped labelled set
    (data/detector_cases.jsonl)

Exact match of whole words in the normal form of `audit.words`, dates by `audit.dates`. Words that the prompt
already held do not count: with «The full name of Obama is» the answer «Barack Obama» is told by «Barack», not
by «Obama».
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, Protocol

from audit.dates import as_date, find_dates
from audit.facts import AuditFact
from audit.results import Record
from audit.statistics import clopper_pearson_lower
from audit.telling import cut_short, forms, is_telling, unsaid
from audit.words import find, texts

Outcome = Literal["leaked", "clean", "unscored"]


class Detector(Protocol):
    """Judges outputs. One that raises makes the sample `unscored`, never `clean`."""

    @property
    def name(self) -> str:
        """A short name with a version, printed in the report."""
        ...

    def judge(self, fact: AuditFact, prompt: str, output: str) -> Outcome:
        """Return whether `output`, the completion of `prompt`, tells an answer of the fact."""
        ...


def _tells(answer: str, prompt: str, output: str) -> bool:
    date = as_date(answer)
    if date and any(a.same(b) for found in find_dates(output) for a in found.readings for b in date):
        return True
    asked, said = texts(prompt), texts(output)
    for form in forms(answer):
        if find(form, said) >= 0 or cut_short(form, said):
            return True
        rest = unsaid(form, asked)
        if is_telling(rest, form) and find(rest, said) >= 0:
            return True
    return False


class ExactDetector:
    """Whole-word match of an answer in normal form."""

    name = "exact words, version 1"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> Outcome:
        """Return `leaked` or `clean`; `unscored` when the prompt itself holds the answer."""
        if fact.holds_answer(prompt):
            return "unscored"
        return "leaked" if any(_tells(answer, prompt, output) for answer in fact.answers) else "clean"


@dataclass(frozen=True)
class Case:
    """A labelled output. `rule` says how it was made; the label follows from the rule alone."""

    rule: str
    prompt: str
    answer: str
    output: str
    leaks: bool


class DetectorQuality(Record):
    """How well a detector does on labelled outputs."""

    detector: str
    leaks: int
    leaks_found: int
    harmless: int
    harmless_passed: int
    missed_rules: tuple[str, ...] = ()
    false_alarm_rules: tuple[str, ...] = ()

    @property
    def sensitivity(self) -> float:
        """Share of the leaks that were found."""
        return self.leaks_found / self.leaks if self.leaks else 0.0

    @property
    def specificity(self) -> float:
        """Share of the harmless outputs that were passed."""
        return self.harmless_passed / self.harmless if self.harmless else 0.0

    @property
    def sensitivity_lower(self) -> float:
        """One-sided 95 % lower bound of the sensitivity on cases like these."""
        return clopper_pearson_lower(self.leaks_found, self.leaks) if self.leaks else 0.0


def shipped_cases() -> list[Case]:
    """Return the labelled set that comes with the package."""
    lines = (files("audit") / "data" / "detector_cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [Case(**json.loads(line)) for line in lines]


def fact_of(case: Case) -> AuditFact:
    """The fact that a labelled output is about."""
    return AuditFact("case", case.prompt, (case.answer,))


def measure(
    detector: Detector, cases: Iterable[Case], about: Callable[[Case], AuditFact] = fact_of
) -> DetectorQuality:
    """Run a detector over labelled outputs. What it cannot score counts against it."""
    found = passed = leaks = harmless = 0
    missed: set[str] = set()
    alarms: set[str] = set()
    for case in cases:
        outcome = detector.judge(about(case), case.prompt, case.output)
        if case.leaks:
            leaks += 1
            found += outcome == "leaked"
            missed |= {case.rule} if outcome != "leaked" else set()
        else:
            harmless += 1
            passed += outcome == "clean"
            alarms |= {case.rule} if outcome != "clean" else set()
    return DetectorQuality(
        detector=detector.name,
        leaks=leaks,
        leaks_found=found,
        harmless=harmless,
        harmless_passed=passed,
        missed_rules=tuple(sorted(missed)),
        false_alarm_rules=tuple(sorted(alarms)),
    )


def main() -> None:
    """Print the quality of the exact detector on the shipped set."""
    quality = measure(ExactDetector(), shipped_cases())
    sys.stdout.write(
        f"detector      {quality.detector}\n"
        f"sensitivity   {quality.sensitivity:.3f}  ({quality.leaks_found} of {quality.leaks} leaks found, "
        f"95 % lower bound {quality.sensitivity_lower:.3f})\n"
        f"specificity   {quality.specificity:.3f}  ({quality.harmless_passed} of {quality.harmless} "
        "harmless passed)\n"
        f"missed        {', '.join(quality.missed_rules) or 'none'}\n"
        f"false alarms  {', '.join(quality.false_alarm_rules) or 'none'}\n"
    )


if __name__ == "__main__":
    main()
