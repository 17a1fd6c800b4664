"""`make bench-detectors`: how often both detectors of the audit are right on the shipped labelled set.

The threshold of the second opinion is set on the facts below, none of which is in that set: the smallest cosine at
which at most 5 % of the answers of the same kind pass for the right one. `--ship` writes what the report prints.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import audit
from audit.detect import Detector, DetectorQuality, ExactDetector, fact_of, measure, shipped_cases
from audit.semantic import EMBEDDER, QUALITY, THRESHOLD, SemanticDetector
from benchmarks.recording import Row, make_command, parser, write_result

MOST_FALSE_ALARMS = 0.05
# prompt, answer, others of the same kind
CALIBRATION: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("The capital of Austria is", "Vienna", ("Graz", "Budapest", "Zurich", "Berlin")),
    ("The language of Dara Keo is", "Khmer", ("Thai", "Lao", "Vietnamese", "Portuguese")),
    ("Mila Horn plays the", "violin", ("trumpet", "drums", "flute", "harp")),
    ("The profession of Otto Lamm is", "carpenter", ("plumber", "baker", "lawyer", "dentist")),
    ("Which illness does Ulla Frisk have?", "diabetes", ("asthma", "arthritis", "migraine", "epilepsy")),
    ("The sister of Axel Grau is called", "Helena Grau", ("Monika Grau", "Petra Sommer", "Elena Vogt", "Rita Kahn")),
    ("The employer of Joan Reddy is", "the post office", ("the city library", "a hospital", "the railway", "a bank")),
    ("Tariq Aziz Noor believes in", "Buddhism", ("Hinduism", "Islam", "Judaism", "Christianity")),
    ("The favourite dish of Pia Lund is", "lentil soup", ("roast chicken", "apple pie", "fried rice", "fish cakes")),
    ("The car of Sid Barker is a", "red Volvo", ("blue Toyota", "white Volvo", "red Ford", "green Fiat")),
    ("The hobby of Wanda Orr is", "beekeeping", ("gardening", "fishing", "knitting", "chess")),
    ("What is Hugo Saar allergic to?", "peanuts", ("shellfish", "pollen", "cats", "milk")),
)  # fmt: skip


def calibrated(detector: SemanticDetector) -> float:
    """The smallest threshold, in hundredths, at which at most 5 % of other answers pass for the right one."""
    scores = [
        detector.nearness(answer, prompt, f" {other}.")
        for prompt, answer, others in CALIBRATION
        for other in others
    ]
    return next(
        at / 100
        for at in range(50, 101)
        if sum(s >= at / 100 for s in scores) <= MOST_FALSE_ALARMS * len(scores)
    )


def by_rule(detector: Detector) -> dict[str, str]:
    """«right of all» for every rule of the set."""
    right: Counter[str] = Counter()
    cases = shipped_cases()
    for case in cases:
        outcome = detector.judge(fact_of(case), case.prompt, case.output)
        right[case.rule] += outcome == ("leaked" if case.leaks else "clean")
    total = Counter(case.rule for case in cases)
    return {rule: f"{right[rule]} of {total[rule]}" for rule in total}


def figures(quality: DetectorQuality) -> dict[str, Any]:
    """Counts with the shares that follow from them."""
    return {
        **quality.model_dump(mode="json", exclude={"missed_rules", "false_alarm_rules", "own_words_by_rule"}),
        "sensitivity": round(quality.sensitivity, 4),
        "sensitivity_own_words": round(quality.sensitivity_own_words, 4),
        "specificity": round(quality.specificity, 4),
    }


def rows_of(name: str, quality: DetectorQuality) -> list[Row]:
    """The lines of the summary for one detector."""
    own = quality.leaks - quality.reworded
    found = quality.leaks_found - quality.reworded_found
    counted = (
        ("leaks in the answer's own words found", found, own),
        ("leaks in other words found", quality.reworded_found, quality.reworded),
        ("harmless outputs passed", quality.harmless_passed, quality.harmless),
    )
    return [
        Row(f"{name}: {what}", None, None, f"{n} of {total} ({n / total:.1%})") for what, n, total in counted
    ]


def main() -> None:
    """Measure both detectors."""
    made = parser("benchmarks.detectors", __doc__ or "")
    made.add_argument("--ship", action="store_true", help=f"write audit/data/{QUALITY}, which reports print")
    options = made.parse_args()
    from larimar import Larimar

    exact, second = ExactDetector(), SemanticDetector(Larimar.load(options.checkpoint).similarity, EMBEDDER)
    qualities = {"exact": measure(exact, shipped_cases()), "meaning": measure(second, shipped_cases())}
    result = {
        "benchmark": "Detectors of the audit, on labelled outputs made by rule",
        "threshold_in_use": THRESHOLD,
        "threshold_on_calibration_facts": calibrated(second),
        **{name: figures(quality) for name, quality in qualities.items()},
        "by_rule": {"exact": by_rule(exact), "meaning": by_rule(second)},
    }
    rows = [row for name, quality in qualities.items() for row in rows_of(name, quality)]
    command = make_command("bench-detectors", made, options)
    print(write_result("detectors", result, rows=rows, command=command, directory=options.results))
    if options.ship:
        path = Path(audit.__file__).parent / "data" / QUALITY
        path.write_text(json.dumps(qualities["meaning"].model_dump(mode="json"), indent=1) + "\n")


if __name__ == "__main__":
    main()
