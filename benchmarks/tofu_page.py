"""TOFU's figures from what was measured, beside the published ones, and the picture of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.recording import Row
from benchmarks.tofu_data import SPLITS, UTILITY, Tofu
from benchmarks.tofu_measures import (
    Likelihood,
    Measured,
    forget_quality,
    model_utility,
    nine,
    truth_ratio,
)

Figures = dict[str, Any]

NOTE = (
    "Forget quality 1.0 holds by construction: the facts never were in the decoder's weights, and what is left of the "
    "memory is, to the bit, the one in which they had never been written. The figures show that a removal leaves no "
    "trace in what this system learned and costs the rest nothing, and, by the p-value before it, that the test could "
    "have told. They do not show that knowledge can be taken out of weights, which is what the published methods try, "
    "on decoders of 1B and 7B. Utility is that of a decoder of 135M asked without a chat template; compare it with "
    "itself. A question about a forgotten fact may still reach another fact, for nothing better is left: the lines on "
    "scope say how often, and what is told there."
)

SOURCE = "open-unlearning, docs/repro.md (lr 1e-5, 10 epochs, untuned, 2 x L40S)"
MODELS = ("Llama-2-7B-chat", "Llama-3.2-1B-Instruct")
_PUBLISHED: dict[str, dict[str, Sequence[tuple[float, float]]]] = {
    "Llama-2-7B-chat": {
        "fine-tuned": ((1.27e-3, 0.63), (5.87e-14, 0.63), (4.35e-25, 0.63)),
        "retrained": ((1.0, 0.63), (1.0, 0.63), (1.0, 0.61)),
        "GradAscent": ((1.88e-4, 0.55), (1.94e-119, 0.0), (1.06e-239, 0.0)),
        "GradDiff": ((3.02e-3, 0.57), (1.94e-119, 0.56), (1.80e-229, 0.58)),
        "NPO": ((0.4, 0.58), (0.09, 0.53), (0.42, 0.54)),
        "SimNPO": ((1.27e-3, 0.58), (1.06e-106, 0.6), (1.47e-198, 0.6)),
        "RMU": ((0.4, 0.62), (9.59e-10, 0.02), (6.92e-21, 0.03)),
    },
    "Llama-3.2-1B-Instruct": {
        "fine-tuned": ((0.01, 0.6), (1.33e-13, 0.6), (1.66e-21, 0.6)),
        "retrained": ((1.0, 0.6), (1.0, 0.6), (1.0, 0.59)),
        "GradAscent": ((0.27, 0.33), (1.94e-119, 0.0), (1.06e-239, 0.0)),
        "GradDiff": ((0.77, 0.43), (1.94e-119, 0.53), (1.06e-239, 0.49)),
        "NPO": ((0.92, 0.56), (0.14, 0.45), (0.02, 0.46)),
        "SimNPO": ((0.58, 0.46), (5.01e-100, 0.58), (2.47e-203, 0.54)),
        "RMU": ((0.16, 0.55), (4.87e-10, 0.58), (3.15e-15, 0.59)),
    },
}
"""(forget quality, model utility) on forget01, forget05, forget10."""
_TUNED = {
    "source": "Fan et al. 2024 (arXiv 2410.07163), card of OPTML-Group/SimNPO-TOFU-forget10-Llama-2-7b-chat",
    "forget10": {"NPO": (0.29, 0.55), "SimNPO": (0.45, 0.62)},
}


def published() -> Figures:
    """Published figures with their sources, for the result file."""
    return {"source": SOURCE, "quality_and_utility": _PUBLISHED, "tuned": _TUNED}


def figures(measured: Figures, tofu: Tofu) -> Figures:
    """All figures of a run."""
    never = {split: measured["splits"][split]["never"] for split in SPLITS}
    made: Figures = {
        "written": measured["written"],
        "base": _state(measured["base"]),
        "full": _state(measured["full"]) | _own(measured["full"], measured["memory_rows"]),
        "same_author": _same_author(measured["same_author"]),
    }
    for split in SPLITS:
        own, ids = measured["splits"][split], {question.fact_id for question in tofu.asked(split)}
        before, base = (
            [r for r in measured[name]["forget"] if r["asked"] in ids] for name in ("full", "base")
        )
        made[split] = {
            **own["bank"], **_state(own), "before": _forgotten(before), "base": _forgotten(base),
            "quality": _quality(own["forget"], never[split]),
            "quality_before": _quality(before, never[split]),
        }  # fmt: skip
    return made


def rows(f: Figures) -> list[Row]:
    """Lines of the page; the column «base» is the decoder with an empty memory."""
    made = [
        Row("model utility, all facts written", 0.63, None, f["full"]["utility"], f["base"]["utility"]),
        Row("ROUGE-L recall of written answers, facts of one memory row / of more", None, None,
            f"{f['full']['rouge_of_one_row']} / {f['full']['rouge_of_more_rows']}"),
        Row("facts too long for the memory", None, "0", f["written"]["too_long"]),
    ]  # fmt: skip
    for split in SPLITS:
        made += _split_rows(split, f[split], f["base"]["utility"], f["full"]["utility"])
    same = f["same_author"]
    other, base = same["after"], same["base"]
    made += [
        Row("scope: one fact of each author forgotten; its question reaches another of the author, %", None, None,
            other["reaches_same_author"]),
        Row("scope: … and ROUGE-L recall of the forgotten answer there, before / after", None, None,
            f"{same['before']['rouge']} / {other['rouge']}", base["rouge"]),
        Row("scope: … and share that tells nine tenths of the forgotten answer, before / after", None, None,
            f"{same['before']['told']} / {other['told']}", base["told"]),
    ]  # fmt: skip
    for number, split in enumerate(SPLITS):
        for method in ("GradAscent", "GradDiff", "NPO", "SimNPO", "RMU"):
            cells = [" / ".join(f"{x:g}" for x in _PUBLISHED[model][method][number]) for model in MODELS]
            made.append(
                Row(f"{split}, published: quality / utility of {method} on {' and '.join(MODELS)}",
                    " and ".join(cells), None, None)
            )  # fmt: skip
    return made


def draw(f: Figures, path: Path) -> None:
    """Forget quality against model utility, one panel a forget set."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(SPLITS), figsize=(12.5, 4.2), layout="constrained")
    for number, (axis, split) in enumerate(zip(axes, SPLITS, strict=True)):
        for model, marker in zip(MODELS, "so", strict=True):
            for colour, method in enumerate(_PUBLISHED[model]):
                quality, utility = _PUBLISHED[model][method][number]
                axis.plot(utility, max(quality, 1e-30), marker, color=f"C{colour}", alpha=0.7,
                          label=f"{method}, {model}")  # fmt: skip
        ours = {"before": (f["full"]["utility"], f[split]["quality_before"], "kx"),
                "after": (f[split]["utility"], f[split]["quality"], "k*")}  # fmt: skip
        for name, (utility, quality, mark) in ours.items():
            axis.plot(utility, max(quality, 1e-30), mark, markersize=12, label=f"exact removal, {name}")
        axis.axhline(0.05, color="grey", linewidth=0.8, linestyle=":")
        axis.set(title=split, xlabel="model utility", yscale="log", ylim=(1e-31, 10), xlim=(-0.03, 0.75))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("forget quality (p-value, cut at 1e-30)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=7, loc="outside right center")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _split_rows(split: str, own: Figures, base_utility: float, utility_before: float) -> list[Row]:
    """Lines of one forget set."""
    before, after, base = own["before"], own["forget"], own["base"]

    def change(key: str) -> str:
        return f"{before[key]} / {after[key]}"

    return [
        Row(f"{split}: bank equals the never-written one, bit for bit", None, "yes",
            "yes" if own["equals_never_written"] else "no"),
        Row(f"{split}: forget quality, before (control)", None, "< 0.05", own["quality_before"]),
        Row(f"{split}: forget quality, after", None, "1.0", own["quality"]),
        Row(f"{split}: model utility", None, f"= before, {utility_before}", own["utility"], base_utility),
        Row(f"{split}: ROUGE-L recall of forgotten answers, before / after", None, "= base", change("rouge"),
            base["rouge"]),
        Row(f"{split}: extraction strength, before / after", None, "= base", change("strength"), base["strength"]),
        Row(f"{split}: scope, forgotten questions that reach another fact, %", None, None, after["reaches_another"]),
    ]  # fmt: skip


def _state(measured: Figures) -> Figures:
    """Utility both ways, the nine numbers, and the forget set of one state."""
    sets = {name: [_measured(row) for row in measured[name]] for name in UTILITY}
    numbers, released = nine(sets), nine(sets, paper=False)
    return {
        "utility": round(model_utility(list(numbers.values())), 4),
        "utility_of_released_code": round(model_utility(list(released.values())), 4),
        "nine": {name: round(number, 4) for name, number in numbers.items()},
        "in_scope": {name: _per_cent(r["reached"] is not None for r in measured[name]) for name in UTILITY},
        "forget": _forgotten(measured["forget"]),
    }


def _forgotten(some: Sequence[Figures]) -> Figures:
    """What is told of a forget set."""
    measured = [_measured(row) for row in some]
    return {
        "questions": len(some),
        "probability": _mean(np.exp(m.answer.mean) for m in measured),
        "rouge": _mean(m.rouge for m in measured),
        "strength": _mean(m.strength for m in measured),
        "truth_ratio": _mean(truth_ratio(m) for m in measured),
        "reaches_own": _per_cent(row["reached"] == row["asked"] for row in some),
        "reaches_another": _per_cent(row["reached"] not in (None, row["asked"]) for row in some),
    }


def _own(measured: Figures, memory_rows: dict[str, int]) -> Figures:
    """ROUGE-L recall of written answers by the rows that their facts span, and how many facts span how many."""
    asked = [*measured["retain"], *measured["forget"]]
    spans = list(memory_rows.values())
    return {
        "rouge_of_one_row": _mean(r["rouge"] for r in asked if memory_rows[r["asked"]] == 1),
        "rouge_of_more_rows": _mean(r["rouge"] for r in asked if memory_rows[r["asked"]] > 1),
        "facts_by_rows": {str(n): spans.count(n) for n in sorted(set(spans))},
    }


def _same_author(measured: dict[str, list[Figures]]) -> Figures:
    """Where questions about one forgotten fact of each author lead, and what is told there."""
    return {name: _told(some) for name, some in measured.items()}


def _told(some: Sequence[Figures]) -> Figures:
    """Routes by kind and what the answers hold of the right one."""
    places = [(_author(row["asked"]), row["reached"] and _author(row["reached"])) for row in some]
    inside = [row for row in some if row["reached"] not in (None, row["asked"])]
    return {
        "questions": len(some),
        "reaches_own": _per_cent(row["reached"] == row["asked"] for row in some),
        "reaches_same_author": _per_cent(
            own == other and row["reached"] != row["asked"]
            for row, (own, other) in zip(some, places, strict=True)
        ),
        "reaches_another_author": _per_cent(other not in (None, own) for own, other in places),
        "rouge": _mean(row["rouge"] for row in some),
        "rouge_where_another_answers": _mean(row["rouge"] for row in inside),
        "strength": _mean(row["strength"] for row in some),
        "told": _mean(row["rouge"] >= 0.9 for row in some),
    }


def _author(fact_id: str) -> int:
    """The number of the author whom a fact is about."""
    return int(fact_id.removeprefix("tofu-")) // 20


def _quality(own: Sequence[Figures], never: Sequence[Figures]) -> float:
    """Forget quality of what was measured on a model and on its never-written twin."""
    ratios = ([truth_ratio(_measured(row)) for row in some] for some in (own, never))
    return float(f"{forget_quality(*ratios):.3g}")


def _measured(row: Figures) -> Measured:
    """A row as `Measured`."""
    answer, paraphrased = Likelihood(**row["answer"]), Likelihood(**row["paraphrased"])
    wrong = tuple(Likelihood(**one) for one in row["perturbed"])
    return Measured(answer, paraphrased, wrong, row["rouge"], row["strength"])


def _mean(values: Any) -> float:
    """The mean, rounded to four places; of nothing it is zero."""
    found = [float(value) for value in values]
    return round(float(np.mean(found)), 4) if found else 0.0


def _per_cent(hits: Any) -> float:
    """Per cent of hits, rounded to one place."""
    return round(100 * _mean(hits), 1)
