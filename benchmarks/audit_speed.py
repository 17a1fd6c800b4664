"""Seconds of an audit: `make bench-audit`. 100 facts at a budget of 20, positive control and after, with a report.

Rephrasings are the trained rephraser's and templates in turn, as by default.

The path is the product's (`workers.standalone`: load, attack, censor, attack, neighbours, report). Where the time
goes is measured at three seams: what the decoder draws, what the scope detector routes, what the leak detector
judges. The same with a quarter of the facts, and with that quarter at four times the budget, says how it grows.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from audit.detect import ExactDetector
from audit.facts import AuditFact
from benchmarks.datasets import DATA
from benchmarks.known import candidates
from benchmarks.recording import Journal, Row, checkpoint_digest, make_command, parser, write_result
from larimar import Larimar
from larimar.decoding import Decoder
from larimar.scope import ScopeDetector
from workers.standalone import Plan, run

SEAMS: dict[str, tuple[type, str]] = {
    "decoder": (Decoder, "generate"),
    "scope": (ScopeDetector, "route"),
    "leak detector": (ExactDetector, "judge"),
    "load": (Larimar, "load"),
}
REACH_S = 300


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds spent inside each seam while the context is open."""
    spent = dict.fromkeys(SEAMS, 0.0)
    patches = [
        patch.object(owner, method, _timed(getattr(owner, method), name, spent))
        for name, (owner, method) in SEAMS.items()
    ]
    for each in patches:
        each.start()
    try:
        yield spent
    finally:
        for each in patches:
            each.stop()


def _timed(real: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    def call(*positional: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return real(*positional, **named)
        finally:
            spent[name] += time.perf_counter() - started

    return staticmethod(call) if hasattr(real, "__self__") else call


def measure(facts: Sequence[AuditFact], budget: int, checkpoint: Path | None, device: str) -> dict[str, Any]:
    """One audit of the facts, censored, at a budget: seconds, where they went, and the cost of a sample."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, watched() as spent:
        plan = Plan(
            target="larimar", facts=facts, out=Path(folder), kind="censor", budget=budget,
            checkpoint=checkpoint, device=device, rephraser="mixed",
        )  # fmt: skip
        report = run(plan)
    if unseen := [name for name, each in spent.items() if not each]:
        raise AssertionError(f"the audit no longer goes through {unseen}: their share would read 0")
    seconds = time.perf_counter() - started
    samples = sum(phase.samples for group in report.groups for phase in group.phases.values())
    busy = seconds - spent["load"]
    rest = busy - sum(spent[name] for name in SEAMS if name != "load")
    return {
        "facts": len(facts), "budget": budget, "samples": samples, "seconds": round(seconds, 1),
        "ms_a_sample": round(1000 * busy / samples, 2),
        "shares_percent": {
            **{n: round(100 * s / busy, 1) for n, s in spent.items() if n != "load"},
            "everything else": round(100 * rest / busy, 1),
        },
        "load_s": round(spent["load"], 1),
    }  # fmt: skip


def rows(measured: Sequence[dict[str, Any]]) -> list[Row]:
    """Seconds and cost; shares of the largest run."""
    made = []
    largest = max(measured, key=lambda m: m["facts"])
    for m in measured:
        reach = f"≤ {REACH_S} on two cores" if (m["facts"], m["budget"]) == (100, 20) else None
        name = f"{m['facts']} facts at budget {m['budget']}"
        made.append(Row(f"{name}, before and after: seconds", None, reach, m["seconds"]))
        made.append(Row(f"{name}: milliseconds a sample", None, None, m["ms_a_sample"]))
    for part, share in largest["shares_percent"].items():
        made.append(Row(f"{largest['facts']} facts: share of {part}, %", None, None, share))
    return made


def main() -> None:
    """Run the benchmark and write its result."""
    made = parser("benchmarks.audit_speed", __doc__ or "")
    made.add_argument("--facts", type=int, default=100)
    made.add_argument("--budget", type=int, default=20)
    made.add_argument("--device", default="auto")
    arguments = made.parse_args()
    facts = [row.fact for row in candidates(DATA / "counterfact.json", 16)][: arguments.facts]
    few = max(1, len(facts) // 4)
    plans = [(few, arguments.budget), (few, 4 * arguments.budget), (len(facts), arguments.budget)]
    cuda = torch.cuda.is_available() and arguments.device != "cpu"
    settings = {
        "facts": len(facts), "budget": arguments.budget, "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if cuda else "none",
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint),
    }  # fmt: skip
    name = "audit_speed_gpu" if cuda else "audit_speed"
    journal = Journal(arguments.results / f"{name}.jsonl", settings)
    for count, budget in plans[len(journal.rows) :]:
        journal.append([measure(facts[:count], budget, arguments.checkpoint, arguments.device)])
        print(journal.rows[-1], flush=True)
    result = {
        "benchmark": f"Seconds of an audit on {'a GPU' if cuda else 'the processor'}",
        **settings,
        "runs": journal.rows,
    }
    write_result(
        name,
        result,
        rows=rows(journal.rows),
        command=make_command("bench-audit", made, arguments),
        directory=arguments.results,
    )
    journal.close()


if __name__ == "__main__":
    main()
