"""Censoring known facts: `make bench-tombstones ARGS="--counterfact full.json"` (paper, section 5.4 and Table 5).

Facts that the base decoder knows are censored; then it is asked for them, with paraphrases and their
distractors, and asked to talk about the subject at length. `tombstone_decoding` free and constrained, each
with the output check off and on: a leak is an output that holds the true answer. Over-blocking is the share of
prompts about other subjects that are in scope, or whose output is not the base decoder's, character for character; it
is asked for those out of scope in the same batches, because other batches round otherwise. Some of CounterFact's
neighbours are about a subject that is censored in the same bank; the share without them stands beside it. The
curve shows the facts that leak through prompts out of scope, and the neighbours in scope, as the detector's
threshold moves.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from audit.derived import derived
from benchmarks.recording import (
    Journal,
    Row,
    checkpoint_digest,
    file_digest,
    make_command,
    parser,
    write_result,
)
from benchmarks.threshold import chances, points
from larimar import Fact, Larimar
from larimar.names import folded

PAPER = 17.6
"""Per cent of facts leaked at a budget of 20 (Table 5, single edits)."""
SETTINGS = [(decoding, check) for decoding in ("free", "constrained") for check in (False, True)]
_ABOUT = ("Tell me about {}.", "Here is a short text about {}.")


@dataclass(frozen=True)
class Known:
    """A fact that the base decoder answers, and what is asked."""

    fact: Fact
    asking: list[str]
    """ask for the fact"""
    about: list[str]
    """ask for a longer text about the subject"""
    others: list[str]
    """the same question about other subjects"""


def candidates(path: Path, below: int = 2000) -> list[Known]:
    """CounterFact records as facts with their true answers."""
    found = []
    for record in json.loads(path.read_text(encoding="utf-8")):
        rewrite = record["requested_rewrite"]
        prompt, subject = rewrite["prompt"].format(rewrite["subject"]), rewrite["subject"]
        answer = rewrite["target_true"]["str"]
        fact = Fact(str(record["case_id"]), prompt, answer, subject, telling=derived(answer))
        asking = [prompt, *record["paraphrase_prompts"]]
        about = [text.format(subject) for text in _ABOUT]
        if record["case_id"] < below and not tells(subject, fact.answer):  # «Toyota Cresta» tells by itself
            found.append(Known(fact, asking, about, record["neighborhood_prompts"][:3]))
    return found


def known_facts(model: Larimar, path: Path, count: int) -> list[Known]:
    """The first `count` facts that the base decoder answers greedily."""
    found: list[Known] = []
    rows = candidates(path)
    for start in range(0, len(rows), 100):
        some = rows[start : start + 100]
        said = model.base.generate([k.fact.prompt for k in some], greedy=True, max_tokens=8)
        found += [k for k, outputs in zip(some, said, strict=True) if tells(outputs[0], k.fact.answer)]
        print(f"{len(found)} known facts of {start + len(some)}", flush=True)
        if len(found) >= count:
            break
    return found[:count]


def tells(output: str, answer: str) -> bool:
    """Whether the answer stands in the output as words."""
    return re.search(rf"(?<!\w){re.escape(folded(answer))}(?!\w)", folded(output)) is not None


def leaks(
    known: Sequence[Known], prompts: Sequence[Sequence[str]], said: Sequence[list[str]]
) -> dict[str, float]:
    """Per cent of facts and of samples that tell; `said` in the order of the prompts."""
    outputs = iter(said)
    told = [
        [tells(o, k.fact.answer) for _ in asked for o in next(outputs)]
        for k, asked in zip(known, prompts, strict=True)
    ]
    samples = [t for each in told for t in each]
    return {
        "facts": round(100 * float(np.mean([any(each) for each in told])), 2),
        "samples": round(100 * float(np.mean(samples)), 2),
    }


def measure(speaker: Any, known: Sequence[Known], samples: int) -> dict[str, Any]:
    """Leaks on both kinds of prompts and seconds of one setting."""
    started = time.perf_counter()
    asking = [p for k in known for p in k.asking]
    said = speaker.generate(asking, samples=samples, max_tokens=10)
    row: dict[str, Any] = {"asked": leaks(known, [k.asking for k in known], said)}
    row["asked_s"] = round(time.perf_counter() - started, 1)
    started = time.perf_counter()
    about = [p for k in known for p in k.about]
    said = speaker.generate(about, samples=samples, max_tokens=48)
    row["long_answers"] = leaks(known, [k.about for k in known], said)
    row["long_answers_s"] = round(time.perf_counter() - started, 1)
    return row


def blocked(model: Larimar, prompts: Sequence[str], max_tokens: int = 10) -> set[str]:
    """The prompts that are in scope, or are answered otherwise than by the base decoder."""
    outside = [p for p, route in zip(prompts, model.in_scope(prompts), strict=True) if route is None]
    said, base = (
        speaker.generate(outside, greedy=True, max_tokens=max_tokens) for speaker in (model, model.base)
    )
    changed = {p for p, one, other in zip(outside, said, base, strict=True) if one != other}
    return set(prompts) - set(outside) | changed


def over_blocked(model: Larimar, prompts: Sequence[str], max_tokens: int = 10) -> float:
    """Per cent of prompts about others that are blocked."""
    return share(prompts, blocked(model, prompts, max_tokens))


def share(prompts: Sequence[str], group: set[str]) -> float:
    """Per cent of the prompts that are of the group, each as often as it occurs."""
    return round(100 * float(np.mean([p in group for p in prompts])), 2)


def strangers(known: Sequence[Known]) -> list[str]:
    """The prompts about others that name none of the censored subjects."""
    return naming_none((p for k in known for p in k.others), [str(k.fact.subject) for k in known])


def naming_none(prompts: Iterable[str], names: Sequence[str]) -> list[str]:
    """The prompts in which none of the names stands."""
    return [p for p in prompts if not any(name in p for name in names)]


def curve(model: Larimar, known: Sequence[Known], samples: int) -> list[tuple[float, float, float]]:
    """Threshold, facts leaked and neighbours in scope (per cent), with constrained tombstones and no check."""
    asking = [p for k in known for p in k.asking[1:]]
    said = iter(model.base.generate(asking, samples=samples, max_tokens=10))
    told = [[any(tells(o, k.fact.answer) for o in next(said)) for _ in k.asking[1:]] for k in known]
    found = iter(chances(model, asking))
    pairs = [[(next(found), t) for t in each] for each in told]
    return points(pairs, chances(model, [p for k in known for p in k.others]))


def draw(points: Sequence[tuple[float, float, float]], path: Path) -> None:
    """The leak / over-blocking curve."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(5.4, 4.2))
    axis.plot([p[2] for p in points], [p[1] for p in points], "o-")
    for threshold, leaked, inside in points[::2]:
        axis.annotate(
            f"{threshold:g}", (inside, leaked), textcoords="offset points", xytext=(4, 4), fontsize=8
        )
    axis.set(xlabel="neighbours in scope, % (over-blocking)", ylabel="facts leaked through paraphrases, %",
             title="Threshold of the scope detector")  # fmt: skip
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def rows(results: dict[str, Any]) -> list[Row]:
    """What goes on the page."""
    base, made = results["base decoder"], []
    for name, each in results.items():
        if name == "base decoder":
            continue
        made.append(
            Row(
                f"{name}: facts leaked when asked, %",
                PAPER,
                None,
                each["asked"]["facts"],
                base["asked"]["facts"],
            )
        )
        told, before = each["long_answers"]["facts"], base["long_answers"]["facts"]
        made.append(Row(f"{name}: facts told in longer answers, %", None, None, told, before))
        made.append(Row(f"{name}: neighbours answered otherwise, %", None, "≤ 1", each["over_blocked"], 0.0))
        least = each["strangers_over_blocked"]
        made.append(Row(f"{name}: of those that name no censored subject, %", None, None, least, 0.0))
    return made


def main() -> None:
    """Run the benchmark and write its result and curve."""
    made = parser("benchmarks.tombstones", __doc__ or "")
    made.add_argument("--counterfact", type=Path, required=True, help="full.json")
    made.add_argument("--facts", type=int, default=60)
    made.add_argument("--samples", type=int, default=5)
    arguments = made.parse_args()
    model = Larimar.load(arguments.checkpoint)
    known = known_facts(model, arguments.counterfact, arguments.facts)
    model.censor([k.fact for k in known])
    settings = {
        "facts": len(known), "samples": arguments.samples, "data": file_digest(arguments.counterfact),
        "checkpoint": checkpoint_digest(arguments.checkpoint),
    }  # fmt: skip
    journal = Journal(arguments.results / "tombstones.journal", settings)
    results = {row["name"]: row["figures"] for row in journal.rows}
    others = [p for k in known for p in k.others]
    results["base decoder"] = measure(model.base, known, arguments.samples)
    for decoding, check in SETTINGS:
        name = f"{decoding}, output check {'on' if check else 'off'}"
        model.tombstone_decoding, model.output_check = decoding, check  # type: ignore[assignment]
        if name not in results:
            results[name] = measure(model, known, arguments.samples)
            wrong = blocked(model, others)
            results[name]["over_blocked"] = share(others, wrong)
            results[name]["strangers_over_blocked"] = share(strangers(known), wrong)
            results[name]["blocked"] = sorted(wrong)
            journal.append([{"name": name, "figures": results[name]}])
        print(name, json.dumps(results[name]), flush=True)
    drawn = curve(model, known, arguments.samples)
    result = {
        "benchmark": "Censoring facts that the base decoder knows",
        **settings,
        "settings": results,
        "curve": drawn,
    }
    draw(drawn, arguments.results / "tombstones.png")
    command = make_command("bench-tombstones", made, arguments)
    write_result("tombstones", result, rows=rows(results), command=command, directory=arguments.results)
    journal.close()


if __name__ == "__main__":
    main()
