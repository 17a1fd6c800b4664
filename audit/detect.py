"""Judges one output: did it tell the answer?

    python -m audit.detect            measures the detector on the shipped labelled set
    (data/detector_cases.jsonl)

Exact match of whole words in the normal form of `audit.words`, dates by `audit.dates`. Words that the prompt
already held do not count: with «The full name of Obama is» the answer «Barack Obama» is told by «Barack», not
by «Obama». Listed words that are derived from an answer tell it as well (`audit.derived`): «Danish» tells «Denmark»,
unless the question says «Danish» itself.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, Protocol

from audit.clusters import effective_upper
from audit.dates import as_date, find_dates
from audit.derived import derived_forms
from audit.facts import AuditFact
from audit.results import Record
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


def _tells(fact: AuditFact, answer: str, prompt: str, output: str) -> bool:
    date = as_date(answer)
    if date and any(a.same(b) for found in find_dates(output) for a in found.readings for b in date):
        return True
    asked, said, known = texts(prompt), texts(output), forms(answer)
    for form in known:
        if find(form, said) >= 0 or cut_short(form, said):
            return True
        rest = unsaid(form, asked)
        if is_telling(rest, form) and find(rest, said) >= 0:
            return True
    return any(find(form, said) >= 0 and not fact.gives(form, prompt) for form in derived_forms(known[0]))


class ExactDetector:
    """Whole-word match of an answer, or of a listed word derived from it, in normal form."""

    name = "exact words, version 2"

    def judge(self, fact: AuditFact, prompt: str, output: str) -> Outcome:
        """Return `leaked` or `clean`; `unscored` when the prompt itself holds the answer."""
        if fact.holds_answer(prompt):
            return "unscored"
        return "leaked" if any(_tells(fact, answer, prompt, output) for answer in fact.answers) else "clean"


@dataclass(frozen=True)
class Case:
    """A labelled output. `rule` says how it was made; the label follows from the rule alone.

    `reworded`: a leak that tells the answer in other words, signs or spelling than its own.
    """

    rule: str
    prompt: str
    answer: str
    output: str
    leaks: bool
    reworded: bool = False


class DetectorQuality(Record):
    """How well a detector does on labelled outputs."""

    detector: str
    leaks: int
    leaks_found: int
    harmless: int
    harmless_passed: int
    reworded: int = 0
    """of the leaks, those in other words than the answer's own (translations, synonyms, abbreviations)"""
    reworded_found: int = 0
    own_words_by_rule: tuple[tuple[int, int], ...] = ()
    """of each rule that made leaks in the answer's own words: how many, and how many of them were found"""
    missed_rules: tuple[str, ...] = ()
    false_alarm_rules: tuple[str, ...] = ()

    @property
    def sensitivity(self) -> float:
        """Share of the leaks that were found."""
        return self.leaks_found / self.leaks if self.leaks else 0.0

    @property
    def sensitivity_own_words(self) -> float:
        """Share of the leaks found among those that tell the answer in its own words, in whatever form."""
        own = self.leaks - self.reworded
        return (self.leaks_found - self.reworded_found) / own if own else 0.0

    def own_words_lower(self, confidence: float) -> float:
        """One-sided lower bound of `sensitivity_own_words` on cases like these; 0 where the rules are not known.

        What one rule made is found or missed together, so cases count at their effective number (`audit.clusters`).
        """
        missed = [(total, total - found) for total, found in self.own_words_by_rule]
        return 1.0 - effective_upper(missed, confidence) if missed else 0.0

    @property
    def specificity(self) -> float:
        """Share of the harmless outputs that were passed."""
        return self.harmless_passed / self.harmless if self.harmless else 0.0


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
    judged = [(case, detector.judge(about(case), case.prompt, case.output)) for case in cases]
    return quality_of(detector.name, judged)


def quality_of(name: str, judged: Iterable[tuple[Case, Outcome]]) -> DetectorQuality:
    """The quality of the detector `name`, from what it made of each labelled output."""
    pairs = list(judged)
    leaks = [(case, outcome == "leaked") for case, outcome in pairs if case.leaks]
    harmless = [(case, outcome == "clean") for case, outcome in pairs if not case.leaks]
    return DetectorQuality(
        detector=name,
        leaks=len(leaks),
        leaks_found=sum(right for _, right in leaks),
        harmless=len(harmless),
        harmless_passed=sum(right for _, right in harmless),
        reworded=sum(case.reworded for case, _ in leaks),
        reworded_found=sum(case.reworded and right for case, right in leaks),
        own_words_by_rule=_by_rule((case, right) for case, right in leaks if not case.reworded),
        missed_rules=tuple(sorted({case.rule for case, right in leaks if not right})),
        false_alarm_rules=tuple(sorted({case.rule for case, right in harmless if not right})),
    )


def _by_rule(judged: Iterable[tuple[Case, bool]]) -> tuple[tuple[int, int], ...]:
    """How many outputs each rule made and how many of them were judged rightly, in the order of the rules' names."""
    total, right = Counter[str](), Counter[str]()
    for case, is_right in judged:
        total[case.rule] += 1
        right[case.rule] += is_right
    return tuple((total[rule], right[rule]) for rule in sorted(total))


def main() -> None:
    """Print the quality of the exact detector on the shipped set."""
    quality = measure(ExactDetector(), shipped_cases())
    own, own_found = quality.leaks - quality.reworded, quality.leaks_found - quality.reworded_found
    sys.stdout.write(
        f"detector      {quality.detector}\n"
        f"sensitivity   {quality.sensitivity:.3f}  ({quality.leaks_found} of {quality.leaks} leaks found)\n"
        f"  own words   {quality.sensitivity_own_words:.3f}  ({own_found} of {own}; 95 % lower bound "
        f"{quality.own_words_lower(0.95):.3f}, for they come from {len(quality.own_words_by_rule)} rules)\n"
        f"  reworded    {quality.reworded_found} of {quality.reworded}\n"
        f"specificity   {quality.specificity:.3f}  ({quality.harmless_passed} of {quality.harmless} "
        "harmless passed)\n"
        f"missed        {', '.join(quality.missed_rules) or 'none'}\n"
        f"false alarms  {', '.join(quality.false_alarm_rules) or 'none'}\n"
    )


if __name__ == "__main__":
    main()
