"""What the memory costs while generating: `python -m benchmarks.decoding_speed`.

The same prompts go to the base decoder and to the guarded model, in turns, and every pair gives a ratio of times;
the median of the pairs is reported. Everything is in it: scope check, memory read, prefix and tokens. All answers
have the same number of tokens (the end token is not drawn), except those of constrained tombstones, which are
not generated at all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from audit.derived import derived
from benchmarks.datasets import DATA, counterfact
from benchmarks.recording import Row, checkpoint_digest, make_command, parser, write_result
from benchmarks.retention import with_facts
from larimar import Fact, Larimar

_CENSORED = "censored "
"""before the ids of tombstones"""


@dataclass(frozen=True)
class Case:
    """Prompts that go to both models."""

    name: str
    prompts: list[str]
    reach: str | None


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cases(model: Larimar, batch: int) -> list[Case]:
    """Prompts of every kind for one batch size; raises AssertionError when the scope detector sees them otherwise."""
    by_id = {str(r.case_id): r for r in counterfact(DATA / "counterfact.json")}
    entries = model.bank.entries.values()
    written = [by_id[e.fact_id] for e in entries if e.kind == "fact"]
    censored = [by_id[e.fact_id.removeprefix(_CENSORED)] for e in entries if e.kind == "tombstone"]
    inside, silent = ([record.prompt for record in records[:batch]] for records in (written, censored))
    others = [prompt for record in written for prompt in record.neighbours][: 4 * batch]
    outside = [p for p, fact_id in zip(others, model.in_scope(others), strict=True) if fact_id is None]
    made = [
        Case("in scope", inside, "≤ 1.3"),
        Case("in scope, one fact", inside[:1] * batch, "≤ 1.3"),
        Case("out of scope", outside[:batch], "≤ 1.05"),
        Case("constrained tombstone", silent, None),
    ]
    for case in made:
        found = [fact_id is not None for fact_id in model.in_scope(case.prompts)]
        if len(found) != batch or any(is_in == (case.name == "out of scope") for is_in in found):
            raise AssertionError(f"the prompts of the case '{case.name}' are not what it says")
    return made if batch > 1 else [case for case in made if case.name != "in scope, one fact"]


def measure(model: Larimar, case: Case, tokens: int, repeats: int) -> dict[str, Any]:
    """Median ratio of guarded to base time, with all ratios and the base's time a token."""
    drawn = {"greedy": True, "max_tokens": tokens, "min_tokens": tokens}
    pairs = [
        (
            seconds(lambda: model.base.generate(case.prompts, **drawn)),
            seconds(lambda: model.generate(case.prompts, **drawn)),
        )
        for _ in tqdm(range(repeats + 1), desc=f"{case.name}, {len(case.prompts)} x {tokens}")
    ][1:]  # the first pair warms caches up
    ratios = sorted(own / base for base, own in pairs)
    return {
        "case": case.name, "batch": len(case.prompts), "tokens": tokens, "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(r, 3) for r in ratios], "reach": case.reach,
        "base_ms_per_token": round(1000 * statistics.median(b for b, _ in pairs) / tokens / len(case.prompts), 2),
    }  # fmt: skip


def rows_of(measured: Sequence[dict[str, Any]]) -> list[Row]:
    """Ratios next to their targets."""
    return [
        Row(f"time / base, {m['case']}, {m['batch']} prompts x {m['tokens']} tokens", None, m["reach"], m["ratio"], 1)
        for m in measured
    ]  # fmt: skip


def main() -> None:
    """Run the benchmark and write its result."""
    options = parser("benchmarks.decoding_speed", __doc__)
    options.add_argument("--facts", type=int, default=300, help="in the bank")
    options.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    options.add_argument("--tokens", type=int, default=48)
    options.add_argument("--repeats", type=int, default=7)
    arguments = options.parse_args()
    model = with_facts(Larimar.load(arguments.checkpoint), arguments.facts)
    others = counterfact(DATA / "counterfact.json")[-max(arguments.batches) :]
    censored = (
        Fact(f"{_CENSORED}{r.case_id}", r.prompt, r.true, r.subject, telling=derived(r.true)) for r in others
    )
    model.censor(list(censored))
    measured = [
        measure(model, case, arguments.tokens, arguments.repeats)
        for batch in arguments.batches
        for case in cases(model, batch)
    ]
    result = {
        "benchmark": "Cost of decoding with a memory", "facts": arguments.facts, "threads": torch.get_num_threads(),
        "checkpoint_sha256": checkpoint_digest(arguments.checkpoint), "measured": measured,
    }  # fmt: skip
    path = write_result(
        "decoding_speed", result, rows=rows_of(measured), directory=arguments.results,
        command=make_command("bench-decoding", options, arguments),
    )  # fmt: skip
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
